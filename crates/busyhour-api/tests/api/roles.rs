//! Every route for every role, in one's own building and in another's.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use busyhour_api::route_list;
use busyhour_store::{AccountName, Act, Actor, Grant, NewSession, NewUser, Reach, Role, UserNo};
use sha2::{Digest as _, Sha256};

use crate::query_roles::METHODS;
use crate::support::{Answer, Bed, MASKED, NOW};

const OTHER: &str = "Always Bad";
/// What only tells of the building [`MASKED`], and what only tells of [`OTHER`].
const OF_MASKED: [&str; 3] = [MASKED, "berlin-1", "10.1.1."];
const OF_OTHER: [&str; 3] = [OTHER, "tokyo-1", "10.2.1."];

/// Who asks: nobody; a viewer of all, of the building, of another one; the same as operators; an
/// administrator; an auditor. A row of the table has one status for each.
type Statuses = [u16; 9];

const ANYBODY: Statuses = [200; 9];
/// There is nothing to say to an empty form, whoever sends it.
const EMPTY: Statuses = [422; 9];
const GONE: Statuses = [404; 9];
const OWN: Statuses = [401, 200, 200, 200, 200, 200, 200, 200, 200];
const OWN_EMPTY: Statuses = [401, 422, 422, 422, 422, 422, 422, 422, 422];
/// A list: everybody's is cut to what they see.
const LIST: Statuses = OWN;
/// Something in the building: to others it is not there.
const ONE: Statuses = [401, 200, 200, 404, 200, 200, 404, 200, 200];
const WHOLE: Statuses = [401, 200, 403, 403, 200, 403, 403, 200, 200];
const OPERATE: Statuses = [401, 403, 403, 403, 422, 422, 422, 422, 403];
/// Binding an agent to where it is already: to an operator of elsewhere that subnet is unknown.
const BIND: Statuses = [401, 403, 403, 403, 200, 200, 422, 200, 403];
const ADMINISTER: Statuses = [401, 403, 403, 403, 403, 403, 403, 422, 403];
const ADMINISTER_READ: Statuses = [401, 403, 403, 403, 403, 403, 403, 200, 403];
const INSPECT: Statuses = [401, 403, 403, 403, 403, 403, 403, 200, 200];
/// The same of what only those see who see everything.
const NO_SUCH_WHOLE: Statuses = [401, 404, 403, 403, 404, 403, 403, 404, 404];
/// Nothing has this name, for who may ask.
const NO_SUCH: Statuses = [401, 403, 403, 403, 403, 403, 403, 404, 403];
/// Something that can be done again and again with what one sees.
const ACT: Statuses = [401, 403, 403, 403, 201, 201, 404, 201, 403];
/// And taken back once, by the first who asks.
const TAKE_BACK: Statuses = [401, 403, 403, 403, 201, 409, 404, 409, 403];
/// Into an incident of another building.
const MERGE: Statuses = [401, 403, 403, 403, 201, 422, 404, 409, 403];
/// What is for the whole fleet.
const OPERATE_WHOLE: Statuses = [401, 403, 403, 403, 200, 403, 403, 200, 403];
const TAKE_BACK_WHOLE: Statuses = [401, 403, 403, 403, 200, 403, 403, 404, 403];
const SILENCE: Statuses = [401, 403, 403, 403, 201, 403, 403, 201, 403];
/// Of everything: who is limited does not see it; it ends once.
const END: Statuses = [401, 403, 403, 403, 200, 404, 404, 409, 403];
/// In one's own building; of another one the name is not known.
const PLAN: Statuses = [401, 403, 403, 403, 201, 201, 422, 201, 403];
/// The number is a silence's.
const NO_SUCH_QUIET: Statuses = [401, 403, 403, 403, 404, 404, 404, 404, 403];

/// There is no such channel, for who may operate all.
const NO_SUCH_CHANNEL: Statuses = [401, 403, 403, 403, 404, 403, 403, 404, 403];

/// Method, route, what is sent, and the statuses. `{id}` is the building [`MASKED`], its agent, its
/// path, its incident; accounts and tokens are of nobody.
#[rustfmt::skip]
const ROUTES: [(&str, &str, &str, Statuses); 123] = [
    ("GET", "/", "", LIST),
    ("GET", "/buildings/{id}", "", ONE),
    ("GET", "/buildings/{id}/files/{name}", "", ONE),
    ("GET", "/buildings/import", "", ADMINISTER_READ),
    ("POST", "/buildings/import", "files", ADMINISTER),
    ("GET", "/subnets/{id}", "", ONE),
    ("GET", "/matrix", "", LIST),
    ("GET", "/matrix.csv", "", LIST),
    ("GET", "/incidents", "", LIST),
    ("GET", "/fleet", "", LIST),
    ("GET", "/paths/{id}", "", ONE),
    ("GET", "/paths/{id}/picture.svg", "", ONE),
    ("GET", "/paths/{id}/picture.png", "", ONE),
    ("GET", "/incidents/{id}", "", ONE),
    ("GET", "/incidents/{id}/files/{name}", "", ONE),
    ("POST", "/incidents/{id}/act", "form", OPERATE),
    ("GET", "/reports", "", LIST),
    ("GET", "/tasks", "", WHOLE),
    ("POST", "/tasks", "form", OPERATE),
    ("GET", "/assets/page.css", "", ANYBODY),
    ("GET", "/assets/page.js", "", ANYBODY),
    ("GET", "/assets/icon.svg", "", ANYBODY),
    ("GET", "/healthz", "", ANYBODY),
    ("GET", "/metrics", "", WHOLE),
    ("GET", "/sign-in", "", ANYBODY),
    ("POST", "/sign-in", "form", EMPTY),
    ("GET", "/sign-in/provider", "", GONE),
    ("GET", "/sign-in/provider/callback", "", GONE),
    ("GET", "/set-up", "", GONE),
    ("POST", "/set-up", "form", EMPTY),
    ("GET", "/account", "", OWN),
    ("POST", "/account/password", "form", OWN_EMPTY),
    ("POST", "/sign-out", "form", OWN_EMPTY),
    ("GET", "/api/v1/buildings", "", LIST),
    ("POST", "/api/v1/buildings/import", "{}", ADMINISTER),
    ("GET", "/api/v1/buildings/files", "", WHOLE),
    ("GET", "/api/v1/buildings/export", "", WHOLE),
    ("GET", "/api/v1/buildings/export/companion", "", WHOLE),
    ("GET", "/api/v1/buildings/{id}", "", ONE),
    ("GET", "/api/v1/buildings/{id}/map", "", ONE),
    ("POST", "/api/v1/loads/import", "{}", OPERATE),
    ("GET", "/api/v1/top", "", LIST),
    ("GET", "/api/v1/subnets", "", LIST),
    ("GET", "/api/v1/subnets/missing", "", WHOLE),
    ("GET", "/api/v1/paths", "", LIST),
    ("GET", "/api/v1/paths/{id}/windows", "", ONE),
    ("GET", "/api/v1/paths/{id}/hours", "", ONE),
    ("GET", "/api/v1/paths/{id}/streams", "", ONE),
    ("GET", "/api/v1/paths/{id}/estimates", "", ONE),
    ("GET", "/api/v1/paths/{id}/explain", "", ONE),
    ("GET", "/api/v1/targets", "", LIST),
    ("GET", "/api/v1/agents", "", LIST),
    ("POST", "/api/v1/agents", "{}", OPERATE),
    ("DELETE", "/api/v1/agents/{id}", "{}", ADMINISTER),
    ("GET", "/api/v1/agents/{id}/forget", "", ADMINISTER_READ),
    ("POST", "/api/v1/agents/{id}/remove", "{}", ADMINISTER),
    ("POST", "/api/v1/agents/{id}/bind", r#"{"subnet":"10.1.1.0/24"}"#, BIND),
    ("GET", "/api/v1/agents/{id}/gaps", "", ONE),
    ("GET", "/api/v1/agents/{id}/history", "", ONE),
    ("GET", "/api/v1/identities", "", WHOLE),
    ("POST", "/api/v1/identities/approve", "{}", ADMINISTER),
    ("POST", "/api/v1/identities/{id}/approve", "{}", NO_SUCH),
    ("POST", "/api/v1/identities/{id}/revoke", "{}", NO_SUCH),
    ("GET", "/api/v1/tokens", "", ADMINISTER_READ),
    ("POST", "/api/v1/tokens", "{}", ADMINISTER),
    ("DELETE", "/api/v1/tokens/{id}", "{}", NO_SUCH),
    ("POST", "/api/v1/agents/{id}/labels", r#"{"labels":[]}"#, ADMINISTER_READ),
    ("GET", "/api/v1/configurations", "", WHOLE),
    ("POST", "/api/v1/configurations", "{}", ADMINISTER),
    ("GET", "/api/v1/configurations/agents", "", WHOLE),
    ("GET", "/api/v1/configurations/assignments", "", WHOLE),
    ("POST", "/api/v1/configurations/assignments", "{}", ADMINISTER),
    ("GET", "/api/v1/configurations/{id}", "", NO_SUCH_WHOLE),
    ("GET", "/api/v1/configurations/{id}/diff", "", NO_SUCH_WHOLE),
    ("GET", "/api/v1/events", "", LIST),
    ("GET", "/api/v1/audit", "", INSPECT),
    ("GET", "/api/v1/audit/chain", "", INSPECT),
    ("GET", "/api/v1/audit/export", "", INSPECT),
    ("GET", "/api/v1/incidents", "", LIST),
    ("GET", "/api/v1/incidents/{id}", "", ONE),
    ("GET", "/api/v1/incidents/{id}/picture.svg", "", ONE),
    ("GET", "/api/v1/incidents/{id}/acts", "", ONE),
    ("POST", "/api/v1/incidents/{id}/notes", r#"{"text":"hello"}"#, ACT),
    ("POST", "/api/v1/incidents/{id}/acknowledge", r#"{"reason":"seen"}"#, ACT),
    ("POST", "/api/v1/incidents/{id}/unacknowledge", "{}", TAKE_BACK),
    ("POST", "/api/v1/incidents/{id}/owner", r#"{"name":"NOC"}"#, ACT),
    ("DELETE", "/api/v1/incidents/{id}/owner", "{}", TAKE_BACK),
    ("POST", "/api/v1/incidents/{id}/merge", r#"{"into":"2","reason":"one line"}"#, MERGE),
    ("POST", "/api/v1/incidents/{id}/split", "{}", TAKE_BACK),
    ("GET", "/api/v1/owners", "", WHOLE),
    ("POST", "/api/v1/owners", r#"{"name":"NOC"}"#, OPERATE_WHOLE),
    ("DELETE", "/api/v1/owners", "{}", TAKE_BACK_WHOLE),
    ("GET", "/api/v1/silences", "", LIST),
    ("POST", "/api/v1/silences", r#"{"everything":true,"until":"2h","reason":"a move"}"#, SILENCE),
    ("POST", "/api/v1/silences/{id}/end", "{}", END),
    ("GET", "/api/v1/maintenance", "", LIST),
    ("POST", "/api/v1/maintenance", r#"{"buildings":["Berlin HQ"],"until":"2h","reason":"a move"}"#, PLAN),
    ("POST", "/api/v1/maintenance/{id}/end", "{}", NO_SUCH_QUIET),
    ("GET", "/api/v1/reports", "", LIST),
    ("GET", "/api/v1/reports/daily", "", LIST),
    ("GET", "/api/v1/reports/weekly", "", LIST),
    ("GET", "/api/v1/reports/monthly", "", LIST),
    ("GET", "/api/v1/channels", "", WHOLE),
    ("POST", "/api/v1/channels/{id}/test", "{}", NO_SUCH_CHANNEL),
    ("GET", "/api/v1/channel-tests/{id}", "", NO_SUCH_WHOLE),
    ("GET", "/api/v1/tasks", "", WHOLE),
    ("POST", "/api/v1/tasks", "{}", OPERATE),
    ("GET", "/api/v1/tasks/history", "", WHOLE),
    ("GET", "/api/v1/status", "", WHOLE),
    ("GET", "/api/v1/openapi.json", "", ANYBODY),
    ("POST", "/api/v1/set-up", "{}", EMPTY),
    ("POST", "/api/v1/sign-in", "{}", EMPTY),
    ("POST", "/api/v1/sign-out", "{}", OWN),
    ("GET", "/api/v1/whoami", "", OWN),
    ("POST", "/api/v1/password", "{}", OWN_EMPTY),
    ("GET", "/api/v1/users", "", INSPECT),
    ("POST", "/api/v1/users", "{}", ADMINISTER),
    ("DELETE", "/api/v1/users/{name}", "{}", NO_SUCH),
    ("POST", "/api/v1/users/{name}/grant", r#"{"role":"viewer"}"#, NO_SUCH),
    ("POST", "/api/v1/users/{name}/password", r#"{"password":"long enough"}"#, NO_SUCH),
    ("GET", "/api/v1/api-tokens", "", INSPECT),
    ("POST", "/api/v1/api-tokens", "{}", ADMINISTER),
    ("DELETE", "/api/v1/api-tokens/{name}", "{}", NO_SUCH),
];

/// Somebody, and what they see of the two buildings.
pub(crate) struct Asker {
    pub(crate) what: &'static str,
    pub(crate) user: Option<UserNo>,
    pub(crate) never: &'static [&'static str],
}

pub(crate) fn askers(bed: &Bed) -> Vec<Asker> {
    let only = |name: &str| Reach::only(vec![bed.building(name)]);
    let by = Act { at: NOW, actor: Actor::local_operator() };
    let none: &[&str] = &[];
    let all = [
        ("viewer", Role::Viewer, Reach::All, none),
        ("viewer of the building", Role::Viewer, only(MASKED), &OF_OTHER),
        ("viewer of another", Role::Viewer, only(OTHER), &OF_MASKED),
        ("operator", Role::Operator, Reach::All, none),
        ("operator of the building", Role::Operator, only(MASKED), &OF_OTHER),
        ("operator of another", Role::Operator, only(OTHER), &OF_MASKED),
        ("administrator", Role::Administrator, Reach::All, none),
        ("auditor", Role::Auditor, Reach::All, none),
    ];
    let mut askers = vec![Asker { what: "nobody", user: None, never: none }];
    for (number, (what, role, reach, never)) in all.into_iter().enumerate() {
        let user = NewUser {
            name: AccountName::new(format!("user-{number}")).expect("a name"),
            password_hash: String::new(),
            grant: Grant::new(role, reach).expect("a grant"),
        };
        let user = bed.accounts.add_user(&user, &by).expect("added");
        askers.push(Asker { what, user: Some(user), never });
    }
    askers
}

/// A new session of a user, by its token.
pub(crate) fn session(bed: &Bed, user: UserNo) -> String {
    static TOKENS: AtomicU64 = AtomicU64::new(0);
    let token = format!("bhs_{}", TOKENS.fetch_add(1, Ordering::Relaxed));
    let session = NewSession {
        token_sha256: Sha256::digest(token.as_bytes()).into(),
        user,
        expires: NOW.plus(Duration::from_secs(60)),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let by = Act { at: NOW, actor: Actor::collector() };
    bed.accounts.begin_session(&session, &by).expect("begun");
    token
}

/// Asks with a session of its own, as signing out ends one.
async fn ask(bed: &Bed, user: Option<UserNo>, method: &str, address: &str, sent: &str) -> Answer {
    let kind = match sent {
        "form" => "application/x-www-form-urlencoded",
        "files" => "multipart/form-data; boundary=end",
        _ => "application/json",
    };
    let mut request = Request::builder()
        .method(method)
        .uri(address)
        .header("host", "localhost:8080")
        .header("content-type", kind);
    if let Some(user) = user {
        request = request.header("authorization", format!("Bearer {}", session(bed, user)));
    }
    let body = match sent {
        "form" => "",
        "files" => "--end--\r\n",
        sent => sent,
    };
    bed.send(request, Body::from(body.to_owned())).await
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let routed: BTreeSet<(String, String)> = route_list().into_iter().collect();
    let told: BTreeSet<(String, String)> = ROUTES
        .iter()
        .map(|(method, route, ..)| (*method, *route))
        .chain(METHODS.iter().map(|(route, _)| ("POST", *route)))
        .map(|(method, route)| (method.to_owned(), route.to_owned()))
        .collect();
    assert_eq!(routed, told);
}

#[tokio::test]
async fn every_route_answers_every_role_as_the_table_says_and_tells_nothing_of_other_buildings() {
    let bed = Bed::full();
    let building = bed.building(MASKED).to_string();
    let subnets = bed.control.subnets().expect("subnets").into_iter();
    let mut subnets = subnets.filter(|subnet| subnet.building == bed.building(MASKED));
    let subnet = subnets.next().expect("a subnet").id.to_string();
    let askers = askers(&bed);
    for (method, route, sent, statuses) in ROUTES {
        let subject = match route {
            route if route.contains("/buildings/") => building.as_str(),
            route if route.contains("/subnets/") => subnet.as_str(),
            route if route.contains("/agents/") || route.contains("/identities/") => {
                "00000000-0000-0000-0000-000000000001"
            }
            route if route.contains("/tokens/") => "0123456789",
            _ => "1",
        };
        let name = match route {
            "/buildings/{id}/files/{name}" => "week.csv",
            "/incidents/{id}/files/{name}" => "days.csv",
            _ => "nobody",
        };
        let address = route.replace("{id}", subject).replace("{name}", name);
        for (asker, status) in askers.iter().zip(statuses) {
            let answer = ask(&bed, asker.user, method, &address, sent).await;
            let told = format!("{method} {route} for {}: {}", asker.what, answer.body);
            assert_eq!(answer.status.as_u16(), status, "{told}");
            if method != "GET" {
                continue;
            }
            let leak = asker.never.iter().find(|word| answer.body.contains(**word));
            assert_eq!(leak, None, "{told}");
        }
    }
}

#[tokio::test]
async fn an_agent_that_moved_shows_what_it_measured_since_and_an_incident_of_both_is_for_neither() {
    let bed = Bed::full();
    let askers = askers(&bed);
    let (own, other) = (askers[2].user, askers[3].user);
    let by = Act::by_operator(NOW);
    let subnets = bed.control.subnets().expect("subnets");
    let there = subnets.iter().find(|subnet| subnet.building == bed.building(OTHER));
    let binding =
        busyhour_store::Binding::Subnet { prefix: there.expect("a subnet").prefix, egress: None };
    let agent = busyhour_model::AgentId::from_u128(1);
    let windows = "/api/v1/paths/1/windows?from=2026-03-02T00:00:00Z&until=2026-03-09T00:00:00Z";
    let before = ask(&bed, own, "GET", windows, "").await.json();
    assert_eq!(before["items"].as_array().expect("a list").len(), 1_000);
    bed.control.bind_agent(agent, binding, &by).expect("bound");
    assert_eq!(ask(&bed, own, "GET", windows, "").await.status.as_u16(), 404);
    for address in [windows, "/api/v1/paths/1/hours", "/api/v1/paths/1/estimates"] {
        let after = ask(&bed, other, "GET", address, "").await.json();
        assert_eq!(after["items"].as_array().expect("a list").len(), 0, "{address}");
    }
    let history = ask(&bed, other, "GET", &format!("/api/v1/agents/{agent}/history"), "").await;
    assert!(!history.body.contains("10.1.1.") && history.body.contains("10.2.1."));

    let mut shared = bed.control.incidents(true).expect("incidents").remove(0);
    shared.id = busyhour_model::IncidentId::from_u128(9);
    shared.number = 9;
    shared.members = [MASKED, OTHER]
        .map(|name| crate::support::member(bed.control.as_ref(), 1, bed.building(name)))
        .to_vec();
    let write = busyhour_store::JudgeWrite {
        incidents: vec![shared],
        ..busyhour_store::JudgeWrite::default()
    };
    bed.control.write_judgement(&write, NOW).expect("written");
    for user in [own, other] {
        let one = ask(&bed, user, "GET", "/api/v1/incidents/9", "").await;
        assert_eq!(one.status.as_u16(), 404, "{}", one.body);
    }
    let all = ask(&bed, askers[1].user, "GET", "/api/v1/incidents/9", "").await;
    assert_eq!(all.status.as_u16(), 200);
}

#[tokio::test]
async fn an_operator_of_a_building_lets_agents_into_it_and_nowhere_else() {
    let bed = Bed::full();
    let askers = askers(&bed);
    let own = askers[5].user;
    for (body, status) in [
        (r#"{"name":"berlin-2","building":"Berlin HQ"}"#, 201),
        (r#"{"name":"tokyo-2","building":"Always Bad"}"#, 422),
        (r#"{"name":"tokyo-3","subnet":"10.2.1.0/24"}"#, 422),
        (r#"{"name":"anywhere"}"#, 403),
    ] {
        let answer = ask(&bed, own, "POST", "/api/v1/agents", body).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.body);
    }
    let agent = format!("/api/v1/agents/{}/bind", busyhour_model::AgentId::from_u128(2));
    for (body, status) in [(r#"{"subnet":"10.1.1.0/24"}"#, 404), (r#"{"by_address":true}"#, 403)] {
        let answer = ask(&bed, own, "POST", &agent, body).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.body);
    }
    let loads = r#"{"file":"building,start,load\nAlways Bad,2026-03-02T08:00:00Z,3\n"}"#;
    let answer = ask(&bed, own, "POST", "/api/v1/loads/import", loads).await;
    assert_eq!(answer.status.as_u16(), 422, "{}", answer.body);
    assert_eq!(bed.control.agents().expect("agents").len(), 3);
}
