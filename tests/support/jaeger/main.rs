//! An OTLP receiver on 127.0.0.1:<first argument>, and the real Jaeger UI with its API on 127.0.0.1:<second argument>.

use otlp_embedded::{ui_app, Config, State, TraceServiceImpl, TraceServiceServer};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut ports = std::env::args().skip(1).map(|port| format!("127.0.0.1:{port}"));
    let (otlp, ui) = (ports.next().unwrap(), ports.next().unwrap());
    let state = State::new(Config { max_length: 10_000, max_memory_usage: 1 << 27 });
    let pages = axum::serve(tokio::net::TcpListener::bind(ui).await.unwrap(), ui_app(state.clone(), "/"));
    tokio::spawn(async move { pages.await.unwrap() });
    let service = TraceServiceServer::new(TraceServiceImpl::new(state));
    tonic::transport::Server::builder().add_service(service).serve(otlp.parse().unwrap()).await.unwrap();
}
