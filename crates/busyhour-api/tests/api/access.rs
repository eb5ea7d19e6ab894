//! Who is let in, and what every answer carries.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use busyhour_api::{check_listen, serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::Bed;

fn request(method: &Method, address: &str, host: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(address)
        .header("host", host)
        .header("content-type", "application/json")
}

/// Nothing waits in real time here: when everybody waits, time goes on by itself.
#[tokio::test(start_paused = true)]
async fn who_never_says_the_rest_of_a_request_is_not_waited_for() {
    let bed = Bed::empty();
    for address in ["/api/v1/sign-in", "/api/v1/buildings/import"] {
        let never = tokio_stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
        let asked = request(&Method::POST, address, "localhost");
        let answer = bed.send(asked, Body::from_stream(never)).await;
        answer.problem(StatusCode::REQUEST_TIMEOUT);
        assert_eq!(answer.header("connection"), "close");
    }
}

/// What nobody has to sign in for.
const OPEN: [&str; 9] = [
    "/assets/page.css",
    "/assets/page.js",
    "/assets/icon.svg",
    "/healthz",
    "/set-up",
    "/sign-in",
    "/sign-in/provider",
    "/sign-in/provider/callback",
    "/api/v1/sign-in",
];

#[tokio::test]
async fn until_there_is_an_administrator_programs_on_this_machine_are_let_in_and_nobody_else() {
    let bed = Bed::full();
    let id = bed.building("Berlin HQ").to_string();
    let subnet = bed.control.subnets().expect("subnets")[0].id.to_string();
    for (method, route) in busyhour_api::route_list() {
        // There is no configuration and no test of a channel in this bed.
        let is_of_none = ["/api/v1/configurations/{id}", "/api/v1/channel-tests/{id}"]
            .iter()
            .any(|none| route.starts_with(none));
        if OPEN.contains(&route.as_str()) || method != "GET" || is_of_none {
            continue;
        }
        let agent = "00000000-0000-0000-0000-000000000001";
        let subject = match route.as_str() {
            route if route.contains("/buildings/") => id.as_str(),
            route if route.contains("/agents/") => agent,
            route if route.contains("/subnets/") => subnet.as_str(),
            _ => "1",
        };
        let file = if route.contains("/incidents/") { "days.csv" } else { "week.csv" };
        let address = route.replace("{id}", subject).replace("{name}", file);
        for (peer, host, status) in [
            (Some("127.0.0.1:1"), "localhost:8080", None),
            (Some("[::1]:1"), "[::1]:8080", None),
            (Some("[::ffff:127.0.0.1]:1"), "127.0.0.1", None),
            (Some("192.0.2.7:1"), "localhost", Some(StatusCode::UNAUTHORIZED)),
            (Some("[::ffff:192.0.2.7]:1"), "localhost", Some(StatusCode::UNAUTHORIZED)),
            (None, "localhost", Some(StatusCode::UNAUTHORIZED)),
            (Some("127.0.0.1:1"), "evil.example", Some(StatusCode::MISDIRECTED_REQUEST)),
            (Some("127.0.0.1:1"), "localhost.evil.example", Some(StatusCode::MISDIRECTED_REQUEST)),
            (Some("127.0.0.1:1"), "192.0.2.7:8080", Some(StatusCode::MISDIRECTED_REQUEST)),
        ] {
            let peer: Option<SocketAddr> = peer.map(|peer| peer.parse().expect("an address"));
            let asked = request(&Method::GET, &address, host);
            let answer = bed.send_from(peer, asked, Body::empty()).await;
            match status {
                Some(status) => drop(answer.problem(status)),
                None => assert_eq!(answer.status, StatusCode::OK, "{address}: {}", answer.body),
            }
            assert!(answer.header("content-security-policy").contains("default-src 'self'"));
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert!(!answer.header("cache-control").is_empty());
        }
    }
}

#[tokio::test]
async fn a_write_must_be_json_so_that_a_foreign_page_cannot_send_it() {
    let bed = Bed::empty();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let request = Request::post("/api/v1/agents")
            .header("host", "localhost")
            .header("content-type", kind);
        let answer = bed.send(request, Body::from("{\"name\":\"a\"}")).await;
        answer.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    assert!(bed.control.agents().expect("agents").is_empty());
}

#[tokio::test]
async fn a_request_without_a_host_is_turned_away() {
    let bed = Bed::empty();
    let answer = bed.send(Request::get("/healthz"), Body::empty()).await;
    answer.problem(StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_a_problem() {
    let bed = Bed::empty();
    bed.get("/api/v1/nothing").await.problem(StatusCode::NOT_FOUND);
    let request = request(&Method::DELETE, "/api/v1/agents", "localhost");
    bed.send(request, Body::empty()).await.problem(StatusCode::METHOD_NOT_ALLOWED);
    bed.get("/api/v1/buildings/7").await.problem(StatusCode::BAD_REQUEST);
    let nobody = "00000000-0000-4000-8000-000000000000";
    bed.get(&format!("/api/v1/buildings/{nobody}")).await.problem(StatusCode::NOT_FOUND);
    bed.get(&format!("/api/v1/buildings/{nobody}/map")).await.problem(StatusCode::NOT_FOUND);
    bed.get("/api/v1/top?limit=many").await.problem(StatusCode::BAD_REQUEST);
    let page = bed.get(&format!("/buildings/{nobody}")).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.body.contains("<h1>Not Found</h1>"));
}

#[tokio::test]
async fn sql_in_a_parameter_is_a_text_like_any_other() {
    let bed = Bed::full();
    let id = bed.building("Berlin HQ").to_string();
    let parameters = [
        "after",
        "at",
        "classifier",
        "closed",
        "codec",
        "date",
        "from",
        "kind",
        "limit",
        "link",
        "number",
        "removed",
        "since",
        "subnet",
        "until",
        "version",
        "whole",
    ];
    // x' OR '1'='1 and 1; DROP TABLE agents
    for text in ["x%27%20OR%20%271%27%3D%271", "1%3B%20DROP%20TABLE%20agents"] {
        for (method, route) in busyhour_api::route_list() {
            // Streams of events have no end, and there are few of them.
            if method != "GET" || route.ends_with("/events") {
                continue;
            }
            if route.contains('{') {
                let named = route.replace("{id}", text).replace("{name}", text);
                let answer = bed.get(&named).await;
                let status = answer.status.as_u16();
                assert!(matches!(status, 400 | 404), "{route}: {status} {}", answer.body);
            }
            let subject = if route.contains("/buildings/") { id.as_str() } else { "1" };
            for name in parameters {
                let named = route.replace("{id}", subject).replace("{name}", text);
                let address = format!("{named}?{name}={text}");
                let answer = bed.get(&address).await;
                assert!(answer.status.as_u16() < 500, "{address}: {}", answer.body);
            }
        }
    }
    let name = "x'); DROP TABLE agents; --";
    let added = bed.post("/api/v1/agents", &serde_json::json!({ "name": name })).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.body);
    let agents = bed.control.agents().expect("agents");
    assert_eq!(agents.len(), 3);
    assert!(agents.iter().any(|agent| agent.name == name));
}

#[tokio::test]
async fn a_body_beyond_its_bound_is_refused() {
    let bed = Bed::empty();
    let huge = serde_json::json!({ "name": "x".repeat(70_000) });
    bed.post("/api/v1/agents", &huge).await.problem(StatusCode::PAYLOAD_TOO_LARGE);
    let huge = serde_json::json!({ "file": "x".repeat(17 << 20) });
    bed.post("/api/v1/buildings/import", &huge).await.problem(StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn only_loopback_is_listened_on() {
    for address in ["127.0.0.1:8080", "127.9.9.9:0", "[::1]:8080"] {
        assert!(check_listen(address.parse().expect("an address")).is_ok());
    }
    for address in ["0.0.0.0:8080", "[::]:8080", "192.168.1.4:8080"] {
        let refused = check_listen(address.parse().expect("an address"));
        let sentence = refused.expect_err("refused").to_string();
        assert!(sentence.contains(address) && sentence.contains("127.0.0.1"), "{sentence}");
    }
}

#[tokio::test]
async fn it_serves_over_a_socket_and_stops_when_told() {
    let everywhere = TcpListener::bind("0.0.0.0:0").await.expect("bind");
    let refused = serve(everywhere, Bed::empty().router, std::future::pending()).await;
    assert!(refused.is_err());

    let bed = Bed::empty();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, bed.router.clone(), async {
        drop(stopped.await);
    }));
    let mut client = TcpStream::connect(address).await.expect("connect");
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.expect("write");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("read");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    stop.send(()).expect("the server runs");
    let ended = tokio::time::timeout(Duration::from_secs(30), server).await;
    ended.expect("it stops").expect("no panic").expect("no error");
}
