//! The query service as real gRPC clients ask it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use busyhour_proto::query::query_client::QueryClient;
use busyhour_proto::query::{
    GetIncidentRequest, ListAgentsRequest, ListBuildingsRequest, ListIncidentsRequest,
    ListPathsRequest, ListWindowsRequest, Page,
};
use busyhour_store::{Act, Reach};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::events::token;
use crate::support::{Bed, MASKED, NOW};

/// A collector's door on a port of the system's choice.
struct Served {
    channel: Channel,
    _stop: oneshot::Sender<()>,
}

async fn served(bed: &Bed) -> Served {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("bound");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async move { drop(stopped.await) };
    tokio::spawn(busyhour_api::serve(listener, bed.router.clone(), until));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    Served { channel: endpoint.connect().await.expect("connected"), _stop: stop }
}

fn with<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().expect("a header");
    request.metadata_mut().insert("authorization", value);
    request
}

fn part(size: u32, token: &str) -> Option<Page> {
    Some(Page { size, token: token.to_owned() })
}

fn windows(page: Option<Page>, path_id: i64) -> ListWindowsRequest {
    ListWindowsRequest {
        page,
        path_id,
        from: "2026-03-02".to_owned(),
        until: "2026-03-04".to_owned(),
        zone: "Europe/Berlin".to_owned(),
    }
}

#[tokio::test]
async fn a_client_is_told_what_the_http_api_tells() {
    let bed = Bed::full();
    let served = served(&bed).await;
    let mut client = QueryClient::new(served.channel.clone());
    let buildings = client.list_buildings(ListBuildingsRequest::default()).await.expect("told");
    let buildings = buildings.into_inner();
    let names: Vec<&str> = buildings.buildings.iter().map(|one| one.name.as_str()).collect();
    let expected = bed.items("/api/v1/buildings").await;
    let expected: Vec<&str> = expected.iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, expected);
    assert_eq!(buildings.next_token, "");
    let masked = buildings.buildings.iter().find(|one| one.name == MASKED).expect("it");
    assert!(masked.masked && masked.worst_hour_bad_ratio == Some(0.5) && masked.simulated);

    let incidents = client.list_incidents(ListIncidentsRequest::default()).await.expect("told");
    assert_eq!(incidents.into_inner().incidents.len(), 2);
    let one = GetIncidentRequest { id: "1".to_owned() };
    let one = client.get_incident(one).await.expect("told").into_inner();
    assert!(one.number == 1 && one.cause == "bandwidth" && one.building.as_deref() == Some(MASKED));
    assert_eq!(one.hours_local, ["10:00-12:00"]);

    let agents = client.list_agents(ListAgentsRequest { page: part(1, ""), removed: false }).await;
    let agents = agents.expect("told").into_inner();
    assert_eq!(agents.agents.len(), 1);
    let next = ListAgentsRequest { page: part(1, &agents.next_token), removed: false };
    let next = client.list_agents(next).await.expect("told").into_inner();
    assert!(next.agents[0].name != agents.agents[0].name && next.next_token.is_empty());

    let paths = client.list_paths(ListPathsRequest::default()).await.expect("told").into_inner();
    let path = paths.paths[0].id;
    let (mut count, mut after) = (0, String::new());
    loop {
        let page = client.list_windows(windows(part(1_300, &after), path)).await.expect("told");
        let page = page.into_inner();
        count += page.windows.len();
        after = page.next_token;
        if after.is_empty() {
            break;
        }
    }
    assert_eq!(count, 2 * 24 * 60, "two days of a window a minute, each once");
}

#[tokio::test]
async fn who_asks_sees_what_their_token_lets_them_see_and_nobody_nothing() {
    let bed = Bed::full();
    let served = served(&bed).await;
    let mut client = QueryClient::new(served.channel.clone());
    let limited = token(&bed, "limited", Reach::only(vec![bed.building(MASKED)]));
    let code = |answer: Result<_, Status>| answer.map(drop).map_err(|status| status.code());
    let all = ListBuildingsRequest::default;
    let stranger = client.list_buildings(with("bh_stranger", all())).await;
    assert_eq!(code(stranger), Err(Code::Unauthenticated));

    let seen = client.list_buildings(with(&limited, all())).await.expect("told").into_inner();
    let names: Vec<&str> = seen.buildings.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, [MASKED]);
    let incidents = client.list_incidents(with(&limited, ListIncidentsRequest::default())).await;
    let incidents = incidents.expect("told").into_inner().incidents;
    assert_eq!(incidents.iter().map(|one| one.number).collect::<Vec<_>>(), [1]);
    let other = GetIncidentRequest { id: "2".to_owned() };
    let other = client.get_incident(with(&limited, other)).await.map(drop);
    assert_eq!(other.map_err(|status| status.code()), Err(Code::NotFound));
    let agents = client.list_agents(with(&limited, ListAgentsRequest::default())).await;
    let agents = agents.expect("told").into_inner().agents;
    assert_eq!(agents.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["berlin-1"]);

    let tokens = bed.accounts.api_tokens().expect("tokens");
    bed.accounts.revoke_api_token(tokens[0].number, &Act::by_operator(NOW)).expect("revoked");
    let revoked = client.list_buildings(with(&limited, all())).await;
    assert_eq!(code(revoked), Err(Code::Unauthenticated));
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_a_reason() {
    let bed = Bed::full();
    let served = served(&bed).await;
    let mut client = QueryClient::new(served.channel.clone());
    let mut wrong = windows(None, 1);
    wrong.zone = "Mars/Olympus".to_owned();
    let refused = client.list_windows(wrong).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("IANA time zone"), "{}", refused.message());
    let mut long = windows(None, 1);
    long.from = "2025-01-01".to_owned();
    let refused = client.list_windows(long).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let none = client.list_windows(windows(None, i64::MAX)).await.expect_err("none");
    assert_eq!(none.code(), Code::NotFound);
    for after in ["x", "0-0", "9999999-0"] {
        let page = ListBuildingsRequest { page: part(1, after) };
        let refused = client.list_buildings(page).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument, "{after}");
    }
}

#[tokio::test]
async fn tools_learn_what_the_service_can_and_that_it_works() {
    let bed = Bed::full();
    let served = served(&bed).await;
    let mut health = HealthClient::new(served.channel.clone());
    let service = "busyhour.query.v1.Query".to_owned();
    let found = health.check(HealthCheckRequest { service: service.clone() }).await.expect("told");
    assert_eq!(found.into_inner().status(), ServingStatus::Serving);
    let asked = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(served.channel.clone());
    let answers = reflection.server_reflection_info(tokio_stream::once(asked)).await;
    let answer: Option<ServerReflectionResponse> =
        answers.expect("told").into_inner().message().await.expect("an answer");
    let Some(MessageResponse::ListServicesResponse(list)) =
        answer.and_then(|answer| answer.message_response)
    else {
        panic!("no list of services");
    };
    assert!(list.service.iter().any(|one| one.name == service), "{list:?}");
}

/// The fields of each message of the proto file.
fn messages() -> BTreeMap<String, Vec<String>> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto/busyhour/query/v1/query.proto");
    let text = std::fs::read_to_string(file).expect("read");
    let (mut messages, mut name) = (BTreeMap::<String, Vec<String>>::new(), String::new());
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        if let Some(of) = line.strip_prefix("message ") {
            name = of.trim_end_matches(" {").to_owned();
        } else if let Some((field, _)) = line.split_once(" = ").filter(|_| !name.is_empty()) {
            let field = field.rsplit(' ').next().unwrap_or_default();
            messages.entry(name.clone()).or_default().push(field.to_owned());
        }
    }
    messages
}

#[test]
fn messages_have_the_names_of_the_http_api() {
    let document = busyhour_api::openapi(&|_| None);
    let messages = messages();
    for message in ["Building", "Incident", "Agent", "Path", "Window"] {
        let known = &document["components"]["schemas"][format!("{message}Item")]["properties"];
        assert!(messages[message].len() > 10);
        for field in &messages[message] {
            assert!(known.get(field).is_some(), "{message}.{field} is not in {message}Item");
        }
    }
}
