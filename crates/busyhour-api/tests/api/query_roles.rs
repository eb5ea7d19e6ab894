//! Every gRPC method for every role, in one's own building and in another's.

use std::collections::BTreeSet;

use busyhour_api::route_list;
use busyhour_proto::query::query_client::QueryClient;
use busyhour_proto::query::{
    DESCRIPTORS, ExplainPathRequest, GetIncidentRequest, ListAgentsRequest, ListBuildingsRequest,
    ListFiguresRequest, ListIdentitiesRequest, ListIncidentsRequest, ListPathsRequest,
    ListWindowsRequest, TopBuildingsRequest,
};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code::{NotFound, Ok as Fine, PermissionDenied, Unauthenticated};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::query::{served, with};
use crate::roles::{askers, session};
use crate::support::Bed;

/// Who asks, as in the table of routes: nobody; a viewer of all, of the building, of another one; the same as
/// operators; an administrator; an auditor.
type Codes = [Code; 9];

const ANYBODY: Codes = [Fine; 9];
const OWN: Codes = [Unauthenticated, Fine, Fine, Fine, Fine, Fine, Fine, Fine, Fine];
/// A list: everybody's is cut to what they see.
const LIST: Codes = OWN;
/// Something in the building: to others it is not there.
const ONE: Codes = [Unauthenticated, Fine, Fine, NotFound, Fine, Fine, NotFound, Fine, Fine];
const WHOLE: Codes = [
    Unauthenticated,
    Fine,
    PermissionDenied,
    PermissionDenied,
    Fine,
    PermissionDenied,
    PermissionDenied,
    Fine,
    Fine,
];

/// Each method of the package is in here, and what it answers each role.
pub(crate) const METHODS: [(&str, Codes); 13] = [
    ("/busyhour.query.v1.Query/ListBuildings", LIST),
    ("/busyhour.query.v1.Query/TopBuildings", LIST),
    ("/busyhour.query.v1.Query/ListIncidents", LIST),
    ("/busyhour.query.v1.Query/GetIncident", ONE),
    ("/busyhour.query.v1.Query/ListAgents", LIST),
    ("/busyhour.query.v1.Query/ListPaths", LIST),
    ("/busyhour.query.v1.Query/ListWindows", ONE),
    ("/busyhour.query.v1.Query/ExplainPath", ONE),
    ("/busyhour.query.v1.Query/ListIdentities", WHOLE),
    ("/busyhour.query.v1.Query/ListFigures", WHOLE),
    ("/grpc.health.v1.Health/Check", ANYBODY),
    ("/grpc.health.v1.Health/Watch", ANYBODY),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", OWN),
];

fn text<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) -> Result<String, Status> {
    answer.map(|answer| format!("{:?}", answer.into_inner()))
}

/// Asks a method about the building's first path, or its incident.
async fn ask(channel: &Channel, method: &str, token: Option<&str>) -> Result<String, Status> {
    fn by<T>(token: Option<&str>, message: T) -> Request<T> {
        match token {
            Some(token) => with(token, message),
            None => Request::new(message),
        }
    }
    macro_rules! ask {
        ($client:ident, $method:ident, $message:expr) => {
            text($client::new(channel.clone()).$method(by(token, $message)).await)
        };
    }
    let windows = ListWindowsRequest { path_id: 1, ..ListWindowsRequest::default() };
    let explained = ExplainPathRequest { path_id: 1, at: String::new() };
    match method.rsplit('/').next().expect("a name") {
        "ListBuildings" => ask!(QueryClient, list_buildings, ListBuildingsRequest::default()),
        "TopBuildings" => ask!(QueryClient, top_buildings, TopBuildingsRequest::default()),
        "ListIncidents" => ask!(QueryClient, list_incidents, ListIncidentsRequest::default()),
        "GetIncident" => ask!(QueryClient, get_incident, GetIncidentRequest { id: "1".to_owned() }),
        "ListAgents" => ask!(QueryClient, list_agents, ListAgentsRequest::default()),
        "ListPaths" => ask!(QueryClient, list_paths, ListPathsRequest::default()),
        "ListWindows" => ask!(QueryClient, list_windows, windows),
        "ExplainPath" => ask!(QueryClient, explain_path, explained),
        "ListIdentities" => ask!(QueryClient, list_identities, ListIdentitiesRequest::default()),
        "ListFigures" => ask!(QueryClient, list_figures, ListFiguresRequest::default()),
        "Check" => ask!(HealthClient, check, HealthCheckRequest::default()),
        "Watch" => ask!(HealthClient, watch, HealthCheckRequest::default()),
        "ServerReflectionInfo" => {
            let none = tokio_stream::empty::<ServerReflectionRequest>();
            ask!(ServerReflectionClient, server_reflection_info, none)
        }
        other => panic!("nobody asks {other} here"),
    }
}

#[test]
fn every_grpc_method_has_a_route_and_every_such_route_a_row() {
    let set = FileDescriptorSet::decode(DESCRIPTORS).expect("descriptors");
    let mut own = BTreeSet::new();
    for file in &set.file {
        for service in &file.service {
            let name = |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
            own.extend(service.method.iter().map(|method| name(method.name())));
        }
    }
    let all = route_list().into_iter();
    let routed: BTreeSet<String> =
        all.map(|(_, path)| path).filter(|path| path.starts_with("/busyhour.")).collect();
    assert_eq!(own, routed, "a method without a route cannot be asked");
    let rows = METHODS.iter().map(|(method, _)| (*method).to_owned());
    let rows: BTreeSet<String> = rows.filter(|row| row.starts_with("/busyhour.")).collect();
    assert_eq!(own, rows);
}

#[tokio::test]
async fn every_grpc_method_answers_every_role_as_the_table_says_and_tells_nothing_of_other_buildings()
 {
    let bed = Bed::full();
    let served = served(&bed).await;
    let askers = askers(&bed);
    for (method, codes) in METHODS {
        for (asker, code) in askers.iter().zip(codes) {
            let token = asker.user.map(|user| session(&bed, user));
            let answer = ask(&served.channel, method, token.as_deref()).await;
            let told = format!("{method} for {}: {answer:?}", asker.what);
            assert_eq!(answer.as_ref().map_or_else(Status::code, |_| Fine), code, "{told}");
            let leak = asker.never.iter().find(|word| told.contains(**word));
            assert_eq!(leak, None, "{told}");
        }
    }
}
