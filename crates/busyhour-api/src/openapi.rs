//! The API's document (OpenAPI 3.1), made from its routes and the types of their handlers.

use axum::http::header;
use serde_json::{Map, Value, json};

use crate::access::Access;
use crate::operation::{Documented, Kind, Schemas, Told, Typed};
use crate::problem::Problem;
use crate::routes::api_routes;

/// The document as it was made last; a test holds it to the code.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// The document.
pub(crate) enum Document {}

impl Kind for Document {
    fn answers(_: &mut Schemas) -> Vec<(&'static str, Value)> {
        vec![("application/json", json!({ "type": "object" }))]
    }
}

/// This document.
pub(crate) async fn document() -> Typed<Document> {
    Typed::new(([(header::CONTENT_TYPE, "application/json")], DOCUMENT))
}

/// Makes the document; `about` gives the comment on a handler by its path in this crate.
pub fn openapi(about: &dyn Fn(&str) -> Option<String>) -> Value {
    let mut schemas = Schemas::new();
    let problem = schemas.given::<Problem>();
    let mut paths: Map<String, Value> = Map::new();
    for operation in api_routes().1 {
        let told = (operation.describe)(&mut schemas);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.to_ascii_lowercase()] = described(&operation, told, about);
    }
    let fails = |what: &str| {
        let content = json!({ "application/problem+json": { "schema": problem } });
        json!({ "description": what, "content": content })
    };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Busyhour",
            "version": "1",
            "description": "The collector's HTTP API: docs/API.md. Fields may be added within a version; none is \
                            removed or changed. Units are in the names; times are RFC 3339.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/api/v1" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API token, or the token of a session.",
                },
            },
            "responses": {
                "refused": fails("What was asked cannot be done, and why."),
                "failed": fails("The collector cannot answer now."),
            },
            "schemas": schemas.finish(),
        },
    })
}

fn described(operation: &Documented, told: Told, about: &dyn Fn(&str) -> Option<String>) -> Value {
    let own = operation.handler.strip_prefix("json::").unwrap_or(operation.handler);
    let about = about(operation.handler).unwrap_or_default();
    let summary = about.split_once(". ").map_or(about.as_str(), |(first, _)| first);
    let mut parameters = in_path(operation.path);
    parameters.extend(told.parameters);
    let content: Map<String, Value> = told
        .answers
        .into_iter()
        .map(|(media, schema)| (media.to_owned(), json!({ "schema": schema })))
        .collect();
    let good = if told.varies { "2XX" } else { "200" };
    let mut described = json!({
        "operationId": own.replace("::", "."),
        "tags": [own.split("::").next().unwrap_or_default()],
        "summary": summary.trim_end_matches('.'),
        "description": about,
        "x-busyhour-access": word(operation.access),
        "parameters": parameters,
        "responses": {
            good: { "description": "What was asked for.", "content": content },
            "4XX": { "$ref": "#/components/responses/refused" },
            "5XX": { "$ref": "#/components/responses/failed" },
        },
    });
    if operation.access == Access::Open {
        described["security"] = json!([]);
    }
    if operation.method != "GET" {
        // Every write must say that it is JSON, whether it has anything to say or not.
        let required = told.body.is_some();
        let schema = told.body.unwrap_or_else(|| json!({ "type": "object" }));
        let content = json!({ "application/json": { "schema": schema } });
        described["requestBody"] = json!({ "required": required, "content": content });
    }
    described
}

/// What an address has in braces.
fn in_path(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|word| word.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        json!({
            "name": name,
            "in": "path",
            "required": true,
            "schema": { "type": "string", "minLength": 1 },
        })
    };
    names.map(parameter).collect()
}

/// Who may use it, as `docs/SECURITY.md` tells roles.
const fn word(access: Access) -> &'static str {
    match access {
        Access::Open => "anybody",
        Access::Own => "whoever signed in",
        Access::Read => "every role, cut to its buildings",
        Access::ReadWhole => "every role that sees all buildings",
        Access::Operate => "operators and administrators, within their buildings",
        Access::Administer => "administrators",
        Access::Accounts => "administrators who signed in",
        Access::Inspect => "administrators and auditors",
    }
}
