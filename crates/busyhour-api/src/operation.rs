//! Operations of the API: each address tells what it takes and gives by its handler's own types, so the
//! document cannot say what the code does not.

use std::marker::PhantomData;

use crate::access::{Access, Routes, Takes};
use crate::app::{App, Core};
use crate::events::Closing;
use crate::guard::Peer;
use crate::json::listing::{List, ListQuery, Listing, View, shape};
use crate::problem::Problem;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::handler::Handler;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Extension, Json};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

/// Schemas of what is asked and of what is given, by name.
pub(crate) struct Schemas {
    asked: SchemaGenerator,
    given: SchemaGenerator,
}

impl Schemas {
    pub(crate) fn new() -> Self {
        let settings = SchemaSettings::draft2020_12()
            .with(|settings| settings.definitions_path = "/components/schemas".into());
        Self {
            asked: settings.clone().for_deserialize().into_generator(),
            given: settings.for_serialize().into_generator(),
        }
    }

    /// What is given under a name.
    pub(crate) fn given<T: JsonSchema>(&mut self) -> Value {
        self.given.subschema_for::<T>().into()
    }

    /// All that have a name.
    pub(crate) fn finish(mut self) -> serde_json::Map<String, Value> {
        let mut all = self.given.take_definitions(true);
        for (name, schema) in self.asked.take_definitions(true) {
            // The same type may be asked and given.
            all.entry(name).or_insert(schema);
        }
        all
    }
}

/// What an operation takes and gives.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) parameters: Vec<Value>,
    pub(crate) body: Option<Value>,
    /// Its good answer, by media type.
    pub(crate) answers: Vec<(&'static str, Value)>,
    /// Its good answer is not always 200.
    pub(crate) varies: bool,
}

impl Told {
    fn query<Q: JsonSchema>(&mut self, schemas: &mut Schemas) {
        let schema: Value = Q::json_schema(&mut schemas.asked).into();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let Some(properties) = schema["properties"].as_object() else { return };
        for (name, property) in properties {
            let mut property = never_null(property.clone());
            let description = property.as_object_mut().and_then(|of| of.remove("description"));
            let mut parameter = json!({
                "name": name,
                "in": "query",
                "required": required.contains(&json!(name)),
                "schema": property,
            });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            self.parameters.push(parameter);
        }
    }
}

/// A parameter that is not told is left out: there is no null in an address.
fn never_null(mut schema: Value) -> Value {
    let Some(object) = schema.as_object_mut() else { return schema };
    if object.get("default").is_some_and(Value::is_null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(choices)) = object.remove("anyOf") {
        let mut real = choices.into_iter().filter(|choice| choice["type"] != "null");
        if let (Some(Value::Object(one)), None) = (real.next(), real.next()) {
            object.extend(one);
        }
    }
    schema
}

/// What a handler is told.
pub(crate) trait Asks {
    /// Adds what that is to the document.
    fn ask(told: &mut Told, schemas: &mut Schemas);
}

/// What has nothing to do with the request's own words, or is told by its address.
macro_rules! asks_nothing {
    ($($type:ty),*) => {$(
        impl Asks for $type {
            fn ask(_: &mut Told, _: &mut Schemas) {}
        }
    )*};
}

asks_nothing!(App, Peer, State<Core>, View, HeaderMap, Option<Extension<Closing>>);

impl<T> Asks for Path<T> {
    fn ask(_: &mut Told, _: &mut Schemas) {}
}

impl<Q: JsonSchema> Asks for Result<Query<Q>, QueryRejection> {
    fn ask(told: &mut Told, schemas: &mut Schemas) {
        told.query::<Q>(schemas);
    }
}

impl<B: JsonSchema> Asks for Result<Json<B>, JsonRejection> {
    fn ask(told: &mut Told, schemas: &mut Schemas) {
        told.body = Some(schemas.asked.subschema_for::<B>().into());
    }
}

/// What a handler answers.
pub(crate) trait Gives {
    /// A list, and what its fields are.
    const FIELDS: Option<fn() -> Vec<String>> = None;

    /// Adds what that is to the document.
    fn give(told: &mut Told, schemas: &mut Schemas);
}

impl<T: JsonSchema> Gives for Json<T> {
    fn give(told: &mut Told, schemas: &mut Schemas) {
        told.answers.push(("application/json", schemas.given::<T>()));
    }
}

impl<T: Gives> Gives for (StatusCode, T) {
    const FIELDS: Option<fn() -> Vec<String>> = T::FIELDS;

    fn give(told: &mut Told, schemas: &mut Schemas) {
        told.varies = true;
        T::give(told, schemas);
    }
}

impl<T: Gives> Gives for Result<T, Problem> {
    const FIELDS: Option<fn() -> Vec<String>> = T::FIELDS;

    fn give(told: &mut Told, schemas: &mut Schemas) {
        T::give(told, schemas);
    }
}

/// The names of a type's fields.
fn fields_of<T: JsonSchema>() -> Vec<String> {
    let schema: Value = T::json_schema(&mut Schemas::new().given).into();
    let names = schema["properties"].as_object().map(|all| all.keys().cloned().collect());
    names.unwrap_or_default()
}

impl<T: JsonSchema + Serialize + Send + Sync + 'static> Gives for Listing<T> {
    const FIELDS: Option<fn() -> Vec<String>> = Some(fields_of::<T>);

    fn give(told: &mut Told, schemas: &mut Schemas) {
        told.query::<ListQuery>(schemas);
        let item = schemas.given::<T>();
        let of = |name: &String| {
            let at = format!("{}/properties/{name}", item["$ref"].as_str().unwrap_or_default());
            (name.clone(), json!({ "$ref": at }))
        };
        let parts: serde_json::Map<String, Value> = fields_of::<T>().iter().map(of).collect();
        let next = json!({
            "type": ["string", "null"],
            "description": "Where the list goes on, as `after`; null at its end.",
        });
        let version = json!({ "const": 1 });
        let envelope = json!({ "oneOf": [
            {
                "title": "whole items",
                "type": "object",
                "required": ["schema_version", "next", "items"],
                "properties": {
                    "schema_version": version,
                    "next": next,
                    "items": { "type": "array", "items": item },
                },
                "not": { "required": ["fields"] },
            },
            {
                "title": "the fields that were asked for",
                "type": "object",
                "required": ["schema_version", "next", "fields", "items"],
                "properties": {
                    "schema_version": version,
                    "next": next,
                    "fields": { "type": "array", "items": { "type": "string" } },
                    "items": {
                        "type": "array",
                        "items": { "type": "object", "properties": parts },
                    },
                },
            },
        ]});
        told.answers.push(("application/json", envelope));
        told.answers.push(("text/csv", json!({ "type": "string" })));
        told.answers.push(("application/x-ndjson", json!({ "type": "string" })));
    }
}

/// An answer that is no JSON, or not always; the kind says what it is.
pub(crate) struct Typed<K>(Response, PhantomData<K>);

/// What an answer may be.
pub(crate) trait Kind {
    /// By media type.
    fn answers(schemas: &mut Schemas) -> Vec<(&'static str, Value)>;
}

impl<K> Typed<K> {
    pub(crate) fn new(answer: impl IntoResponse) -> Self {
        Self(answer.into_response(), PhantomData)
    }
}

impl<K> IntoResponse for Typed<K> {
    fn into_response(self) -> Response {
        self.0
    }
}

impl<K: Kind> Gives for Typed<K> {
    fn give(told: &mut Told, schemas: &mut Schemas) {
        told.answers.extend(K::answers(schemas));
    }
}

/// Kinds of answers that are a text of one media type.
macro_rules! texts {
    ($($(#[$doc:meta])* $kind:ident = $media:literal;)*) => {$(
        $(#[$doc])*
        pub(crate) enum $kind {}

        impl Kind for $kind {
            fn answers(_: &mut Schemas) -> Vec<(&'static str, Value)> {
                vec![($media, json!({ "type": "string" }))]
            }
        }
    )*};
}

texts! {
    /// A table.
    Csv = "text/csv";
    /// An object a line.
    Ndjson = "application/x-ndjson";
    /// A picture.
    Svg = "image/svg+xml";
    /// Events, as they come.
    Events = "text/event-stream";
}

/// A handler whose types tell what it takes and gives.
pub(crate) trait Operation<T>: Handler<T, Core> {
    /// Its answer is a list with these fields.
    const FIELDS: Option<fn() -> Vec<String>>;

    /// What it takes and gives.
    fn describe(schemas: &mut Schemas) -> Told;
}

macro_rules! operations {
    ($(($($asks:ident),*))*) => {$(
        impl<F, Fut, R, M, $($asks),*> Operation<(M, $($asks,)*)> for F
        where
            F: FnOnce($($asks),*) -> Fut + Handler<(M, $($asks,)*), Core>,
            Fut: Future<Output = R>,
            R: Gives,
            $($asks: Asks,)*
        {
            const FIELDS: Option<fn() -> Vec<String>> = R::FIELDS;

            fn describe(schemas: &mut Schemas) -> Told {
                let mut told = Told::default();
                $($asks::ask(&mut told, schemas);)*
                R::give(&mut told, schemas);
                told
            }
        }
    )*};
}

operations! { () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) }

/// An operation that has an address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Documented {
    pub(crate) method: &'static str,
    /// Below the API's own address.
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    /// The handler's path in this crate: `json::buildings::list`.
    pub(crate) handler: &'static str,
    pub(crate) describe: fn(&mut Schemas) -> Told,
}

/// Routes of the API. Each has a row that says who may use it, and an operation in the document.
pub(crate) struct Api {
    routes: Routes,
    pub(crate) operations: Vec<Documented>,
}

impl Api {
    /// Below the address that `routes` are under.
    pub(crate) fn new(routes: Routes) -> Self {
        Self { routes, operations: Vec::new() }
    }

    pub(crate) fn get<T: 'static, H: Operation<T>>(
        self,
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self {
        self.add::<T, H>("GET", path, access, get(handler))
    }

    pub(crate) fn post<T: 'static, H: Operation<T>>(
        self,
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self {
        self.add::<T, H>("POST", path, access, post(handler))
    }

    /// A write whose body may be as large as this.
    pub(crate) fn post_large<T: 'static, H: Operation<T>>(
        self,
        path: &'static str,
        access: Access,
        max_bytes: usize,
        handler: H,
    ) -> Self {
        let handler = post(handler).layer(DefaultBodyLimit::max(max_bytes));
        self.add::<T, H>("POST", path, access, handler)
    }

    pub(crate) fn delete<T: 'static, H: Operation<T>>(
        self,
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self {
        self.add::<T, H>("DELETE", path, access, delete(handler))
    }

    fn add<T: 'static, H: Operation<T>>(
        mut self,
        method: &'static str,
        path: &'static str,
        access: Access,
        mut handler: MethodRouter<Core>,
    ) -> Self {
        if let Some(fields) = H::FIELDS {
            let words = path.rsplit('/').find(|word| !word.starts_with('{'));
            let list = List { fields, name: words.unwrap_or_default() };
            handler = handler
                .layer(axum::middleware::from_fn(move |request, next| shape(list, request, next)));
        }
        let name = std::any::type_name::<H>();
        self.operations.push(Documented {
            method,
            path,
            access,
            handler: name.strip_prefix("busyhour_api::").unwrap_or(name),
            describe: H::describe,
        });
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
        self.routes = self.routes.route(path, (method, access, Takes::Json), handler);
        self
    }

    pub(crate) fn finish(self) -> (Routes, Vec<Documented>) {
        (self.routes, self.operations)
    }
}
