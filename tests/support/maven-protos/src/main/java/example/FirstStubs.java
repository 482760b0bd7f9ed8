package example;

import io.grpc.Channel;
import verbund.registry.v1.ProjectServiceGrpc;
import verbund.registry.v1.SearchProjectsRequest;
import verbund.registry.v1.SearchProjectsResponse;

/** Uses what was generated, so that the compiler has looked at it. */
public final class FirstStubs {
    private FirstStubs() {}

    /** The projects that a search finds. */
    public static SearchProjectsResponse search(Channel channel, String words) {
        SearchProjectsRequest request = SearchProjectsRequest.newBuilder().setQuery(words).build();
        return ProjectServiceGrpc.newBlockingStub(channel).searchProjects(request);
    }
}
