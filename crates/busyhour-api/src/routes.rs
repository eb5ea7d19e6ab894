//! The table of routes, each with who may use it.

use crate::access::Access::{Accounts, Administer, Inspect, Open, Operate, Own, Read, ReadWhole};
use crate::access::Routes;
use crate::operation::{Api, Documented};
use crate::signin::{pages, provider};
use crate::{events, json, metrics, openapi, page, query};

/// The longest import: a building file and its companion for some 50 000 subnets, or a table of load
/// with some 400 000 rows.
const MAX_IMPORT_BYTES: usize = 16 * 1024 * 1024;

/// All of them.
pub(crate) fn routes() -> Routes {
    api_routes().0
}

/// The same, with the operations of the API.
pub(crate) fn api_routes() -> (Routes, Vec<Documented>) {
    let api = Api::new(queried(opened(Routes::new())).under("/api/v1"));
    accounts(incidents(fleet(network(api)))).finish()
}

/// What a browser opens.
#[rustfmt::skip]
fn opened(routes: Routes) -> Routes {
    routes
        .get("/", Read, page::overview)
        .get("/buildings/{id}", Read, page::building)
        .get("/buildings/{id}/files/{name}", Read, page::files::of_building)
        .get("/buildings/import", Administer, page::import::form)
        .files("/buildings/import", Administer, page::import::MAX_UPLOAD_BYTES, page::import::upload)
        .get("/subnets/{id}", Read, page::subnet)
        .get("/matrix", Read, page::matrix)
        .get("/matrix.csv", Read, page::matrix_csv)
        .get("/incidents", Read, page::incidents)
        .get("/fleet", Read, page::fleet)
        .get("/paths/{id}", Read, page::path::page)
        .get("/paths/{id}/picture.svg", Read, page::path::svg)
        .get("/paths/{id}/picture.png", Read, page::path::png)
        .get("/incidents/{id}", Read, page::incident)
        .get("/incidents/{id}/files/{name}", Read, page::files::of_incident)
        .form("/incidents/{id}/act", Operate, page::act)
        .get("/reports", Read, page::reports)
        .get("/tasks", ReadWhole, page::tasks::calendar)
        .form("/tasks", Operate, page::tasks::sign_off)
        .get("/assets/page.css", Open, page::style)
        .get("/assets/page.js", Open, page::script)
        .get("/assets/icon.svg", Open, page::icon)
        .get("/healthz", Open, json::status::healthz)
        .get("/metrics", ReadWhole, metrics::metrics)
        .get("/sign-in", Open, pages::sign_in_page)
        .form("/sign-in", Open, pages::sign_in)
        .get("/sign-in/provider", Open, provider::pages::go)
        .get("/sign-in/provider/callback", Open, provider::pages::come_back)
        .get("/set-up", Open, pages::set_up_page)
        .form("/set-up", Open, pages::set_up)
        .get("/account", Own, pages::account_page)
        .form("/account/password", Own, pages::change_password)
        .form("/sign-out", Own, pages::sign_out)
}

/// What a gRPC client asks.
#[rustfmt::skip]
fn queried(routes: Routes) -> Routes {
    routes
        .grpc("/busyhour.query.v1.Query/ListBuildings", Read, query::query)
        .grpc("/busyhour.query.v1.Query/TopBuildings", Read, query::query)
        .grpc("/busyhour.query.v1.Query/ListIncidents", Read, query::query)
        .grpc("/busyhour.query.v1.Query/GetIncident", Read, query::query)
        .grpc("/busyhour.query.v1.Query/ListAgents", Read, query::query)
        .grpc("/busyhour.query.v1.Query/ListPaths", Read, query::query)
        .grpc("/busyhour.query.v1.Query/ListWindows", Read, query::query)
        .grpc("/busyhour.query.v1.Query/ExplainPath", Read, query::query)
        .grpc("/busyhour.query.v1.Query/ListIdentities", ReadWhole, query::query)
        .grpc("/busyhour.query.v1.Query/ListFigures", ReadWhole, query::query)
        .grpc("/grpc.health.v1.Health/Check", Open, query::health)
        .grpc("/grpc.health.v1.Health/Watch", Open, query::health)
        .grpc("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Own, query::reflection)
}

/// Buildings, what is measured there, and what the collector tells of itself.
#[rustfmt::skip]
fn network(routes: Api) -> Api {
    routes
        .get("/buildings", Read, json::buildings::list)
        .post_large("/buildings/import", Administer, MAX_IMPORT_BYTES, json::inventory::import)
        .get("/buildings/files", ReadWhole, json::history::files)
        .get("/buildings/export", ReadWhole, json::inventory::export)
        .get("/buildings/export/companion", ReadWhole, json::inventory::export_companion)
        .get("/buildings/{id}", Read, json::buildings::one)
        .get("/buildings/{id}/map", Read, json::buildings::map)
        .post_large("/loads/import", Operate, MAX_IMPORT_BYTES, json::loads::import)
        .get("/top", Read, json::buildings::top)
        .get("/subnets", Read, json::inventory::subnets)
        .get("/subnets/missing", ReadWhole, json::inventory::missing)
        .get("/paths", Read, json::paths::list)
        .get("/paths/{id}/windows", Read, json::paths::windows)
        .get("/paths/{id}/hours", Read, json::hours::list)
        .get("/paths/{id}/streams", Read, json::streams::list)
        .get("/paths/{id}/estimates", Read, json::estimate::list)
        .get("/paths/{id}/explain", Read, json::explain::explain)
        .get("/targets", Read, json::targets::list)
        .get("/events", Read, events::stream)
        .get("/audit", Inspect, json::audit::list)
        .get("/audit/chain", Inspect, json::audit::chain)
        .get("/audit/export", Inspect, json::audit::export)
        .get("/status", ReadWhole, json::status::figures)
}

/// Agents, who lets them in, and what they are to measure.
#[rustfmt::skip]
fn fleet(routes: Api) -> Api {
    routes
        .get("/agents", Read, json::agents::list)
        .post("/agents", Operate, json::agents::add)
        .delete("/agents/{id}", Administer, json::forget::forget)
        .get("/agents/{id}/forget", Administer, json::forget::preview)
        .post("/agents/{id}/remove", Administer, json::forget::remove)
        .post("/agents/{id}/bind", Operate, json::agents::bind)
        .get("/agents/{id}/gaps", Read, json::agents::gaps)
        .get("/agents/{id}/history", Read, json::places::list)
        .get("/identities", ReadWhole, json::identities::list)
        .post("/identities/approve", Administer, json::identities::approve_building)
        .post("/identities/{id}/approve", Administer, json::identities::approve)
        .post("/identities/{id}/revoke", Administer, json::identities::revoke)
        .get("/tokens", Administer, json::tokens::list)
        .post("/tokens", Administer, json::tokens::make)
        .delete("/tokens/{id}", Administer, json::tokens::revoke)
        .post("/agents/{id}/labels", Administer, json::assignments::label)
        .get("/configurations", ReadWhole, json::configurations::list)
        .post("/configurations", Administer, json::configurations::make)
        .get("/configurations/agents", ReadWhole, json::assignments::agents)
        .get("/configurations/assignments", ReadWhole, json::assignments::list)
        .post("/configurations/assignments", Administer, json::assignments::assign)
        .get("/configurations/{id}", ReadWhole, json::configurations::one)
        .get("/configurations/{id}/diff", ReadWhole, json::configurations::diff)
}

/// Incidents, what people do with them, how they are told, and what is read of them.
#[rustfmt::skip]
fn incidents(routes: Api) -> Api {
    routes
        .get("/incidents", Read, json::incidents::list)
        .get("/incidents/{id}", Read, json::incidents::one)
        .get("/incidents/{id}/picture.svg", Read, json::incidents::picture)
        .get("/incidents/{id}/acts", Read, json::acts::list)
        .post("/incidents/{id}/notes", Operate, json::acts::note)
        .post("/incidents/{id}/acknowledge", Operate, json::acts::acknowledge)
        .post("/incidents/{id}/unacknowledge", Operate, json::acts::unacknowledge)
        .post("/incidents/{id}/owner", Operate, json::acts::own)
        .delete("/incidents/{id}/owner", Operate, json::acts::disown)
        .post("/incidents/{id}/merge", Operate, json::acts::merge)
        .post("/incidents/{id}/split", Operate, json::acts::split)
        .get("/owners", ReadWhole, json::owners::list)
        .post("/owners", Operate, json::owners::set)
        .delete("/owners", Operate, json::owners::remove)
        .get("/silences", Read, json::quiet::silences)
        .post("/silences", Operate, json::quiet::silence)
        .post("/silences/{id}/end", Operate, json::quiet::end_silence)
        .get("/maintenance", Read, json::quiet::maintenance)
        .post("/maintenance", Operate, json::quiet::plan)
        .post("/maintenance/{id}/end", Operate, json::quiet::end_maintenance)
        .get("/reports", Read, json::periods::list)
        .get("/reports/daily", Read, json::reports::daily)
        .get("/reports/weekly", Read, json::reports::weekly)
        .get("/reports/monthly", Read, json::reports::monthly)
        .get("/channels", ReadWhole, json::channels::list)
        .post("/channels/{id}/test", Operate, json::channels::test)
        .get("/channel-tests/{id}", ReadWhole, json::channels::tested)
        .get("/tasks", ReadWhole, json::tasks::list)
        .post("/tasks", Operate, json::tasks::sign_off)
        .get("/tasks/history", ReadWhole, json::tasks::history)
}

/// Who may ask, and the API of itself.
#[rustfmt::skip]
fn accounts(routes: Api) -> Api {
    routes
        .get("/openapi.json", Open, openapi::document)
        .post("/set-up", Open, json::session::set_up)
        .post("/sign-in", Open, json::session::sign_in)
        .post("/sign-out", Own, json::session::sign_out)
        .get("/whoami", Own, json::session::whoami)
        .post("/password", Own, json::session::password)
        .get("/users", Inspect, json::users::list)
        .post("/users", Accounts, json::users::add)
        .delete("/users/{name}", Accounts, json::users::remove)
        .post("/users/{name}/grant", Accounts, json::users::change)
        .post("/users/{name}/password", Accounts, json::users::set_password)
        .get("/api-tokens", Inspect, json::api_tokens::list)
        .post("/api-tokens", Accounts, json::api_tokens::make)
        .delete("/api-tokens/{name}", Accounts, json::api_tokens::revoke)
}
