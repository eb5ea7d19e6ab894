//! Those who take more than their share, or give what nobody should read: others are served meanwhile.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use busyhour_proto::v1;
use busyhour_proto::v1::agent_message::Message as Up;
use busyhour_proto::v1::ingest_client::IngestClient;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::{Service as _, http};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Request};

use crate::identity::Bed;
use crate::support::{Collector, PATIENCE, SECRET, agent, block, now, window};

/// Another machine than the one that everybody else is.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// More than half of the places for handshakes, and of those for connections without a certificate.
const MORE_THAN_HALF_OF_HANDSHAKES: usize = 300;
const MORE_THAN_HALF_OF_STRANGERS: usize = 140;

async fn connect_from_elsewhere(to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(ELSEWHERE, 0)).unwrap();
    socket.connect(to).await.unwrap()
}

async fn until_refused(bed: &Bed) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while bed.counters().connections_refused == 0 {
        assert!(tokio::time::Instant::now() < deadline, "nobody is hung up on");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// An agent is let in and delivers.
async fn is_served(bed: &Bed) {
    let enrolled = bed.enrolled().await;
    let (mut agent, _) = bed.session(&enrolled, &[]).await.unwrap();
    agent.say(Up::Block(block(1, &[]))).await;
    agent.hear_acknowledged(&[1]).await;
}

#[tokio::test]
async fn one_address_that_begins_many_handshakes_leaves_room_for_others() {
    let bed = Bed::start().await;
    let mut silent = Vec::new();
    for _ in 0..MORE_THAN_HALF_OF_HANDSHAKES {
        silent.push(connect_from_elsewhere(bed.address()).await);
    }
    until_refused(&bed).await;
    is_served(&bed).await;
    drop(silent);
    bed.stop().await;
}

#[tokio::test]
async fn one_address_that_holds_connections_without_a_certificate_leaves_room_for_others() {
    let bed = Bed::start().await;
    let tls = ClientTlsConfig::new().domain_name("localhost");
    let tls = tls.ca_certificate(Certificate::from_pem(bed.authority()));
    let endpoint = Channel::from_shared(format!("https://{}", bed.address())).unwrap();
    let endpoint = endpoint.tls_config(tls).unwrap().local_address(Some(ELSEWHERE));
    let mut held = Vec::new();
    for _ in 0..MORE_THAN_HALF_OF_STRANGERS {
        // In TLS 1.3 the client is done before the server hangs up on it.
        held.extend(endpoint.connect().await.ok());
    }
    until_refused(&bed).await;
    is_served(&bed).await;
    drop(held);
    bed.stop().await;
}

/// What a server answers to a call whose only message is `frame`.
async fn answer_to(collector: &Collector, encoding: Option<&str>, frame: &str) -> Code {
    let address = collector.address();
    let mut channel =
        Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let mut request = http::Request::post(format!("http://{address}/busyhour.v1.Ingest/Session"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}.{SECRET}", agent(1)));
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let body = tonic::body::Body::new(frame.to_owned());
    std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let answer = channel.call(request.body(body).unwrap());
    let answer = tokio::time::timeout(PATIENCE, answer).await.expect("an answer").unwrap();
    if let Some(code) = answer.headers().get("grpc-status") {
        return Code::from_bytes(code.as_bytes());
    }
    // It says so behind the last message.
    let mut messages = tonic::Streaming::<v1::CollectorMessage>::new_response(
        tonic_prost::ProstDecoder::default(),
        answer.into_body(),
        http::StatusCode::OK,
        None,
        None,
    );
    loop {
        match messages.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Code::Ok,
            Err(status) => return status.code(),
        }
    }
}

/// A few bytes that would become many are never unpacked: this port knows no compression.
#[tokio::test]
async fn a_compressed_message_is_refused_unread() {
    let collector = Collector::start().await;
    // Compressed, five bytes long.
    let frame = "\u{1}\0\0\0\u{5}crash";
    assert_eq!(answer_to(&collector, Some("gzip"), frame).await, Code::Unimplemented);
    assert_ne!(answer_to(&collector, None, frame).await, Code::Ok);
    // A message that says that it is larger than may be is not waited for.
    let large = "\0\u{7f}\0\0\0";
    assert_eq!(answer_to(&collector, None, large).await, Code::OutOfRange);
    let (mut session, _) = collector.session(1, 1).await;
    session.say(Up::Block(block(1, &[window(now())]))).await;
    session.hear_acknowledged(&[1]).await;
}

/// Its own session waits for it, or the transport has enough of it.
#[tokio::test]
async fn an_agent_that_asks_and_does_not_read_holds_up_nobody() {
    let collector = Collector::start().await;
    collector.let_in(2);
    let channel = Channel::from_shared(format!("http://{}", collector.address())).unwrap();
    let channel = channel.initial_stream_window_size(1_024).connect().await.unwrap();
    let (sender, receiver) = mpsc::channel(1);
    let mut request = Request::new(ReceiverStream::new(receiver));
    let bearer = format!("Bearer {}.{SECRET}", agent(2));
    request.metadata_mut().insert("authorization", bearer.parse().unwrap());
    let say = |message| v1::AgentMessage { message: Some(message) };
    let asking = sender.clone();
    let asks = tokio::spawn(async move {
        let mut asked = asking.send(say(crate::support::hello(0, 0))).await;
        // As long as anybody takes them.
        while asked.is_ok() {
            asked = asking.send(say(Up::Clock(v1::ClockRequest::default()))).await;
        }
    });
    let unread = IngestClient::new(channel).session(request).await.unwrap();

    let (mut session, _) = collector.session(1, 100).await;
    for number in 1..=100 {
        session.say(Up::Block(block(number, &[window(now())]))).await;
        session.hear_acknowledged(&[number]).await;
    }
    asks.abort();
    drop(unread);
}
