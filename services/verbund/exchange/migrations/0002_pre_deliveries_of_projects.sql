-- The deliveries of one project, as a list by page reads them.
CREATE INDEX deliveries_sent_of_project ON deliveries (sender, project, create_time DESC, name DESC)
    WHERE project <> '';
CREATE INDEX deliveries_received_of_project ON deliveries (mailbox, project, submit_time DESC, name DESC)
    WHERE project <> '' AND state <> 'draft';
