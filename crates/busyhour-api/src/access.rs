//! Who may use which route: every route is made together with its answer to that.

use std::collections::HashMap;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodRouter, get, post};
use busyhour_store::Role;

use crate::app::Core;
use crate::guard::{Principal, Who};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Anybody: what is needed to sign in, and that the collector lives.
    Open,
    /// Anybody who signed in, for what is one's own.
    Own,
    /// Every role, cut to the buildings of who asks.
    Read,
    /// Every role, but nobody who is limited to buildings: there is no part of it that is theirs.
    ReadWhole,
    /// Operators and administrators, within their buildings.
    Operate,
    /// Administrators.
    Administer,
    /// Administrators who signed in: who may ask at all.
    Accounts,
    /// Administrators and auditors: what was done, and who may ask.
    Inspect,
}

/// Why a route is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The role does not have it.
    Role,
    /// It is not cut to buildings, and who asks is limited to some.
    Reach,
    /// Nobody has it until there is an administrator.
    NotSetUp,
}

impl Access {
    /// Checks that who asks may.
    pub(crate) fn check(self, principal: &Principal) -> Result<(), Denied> {
        let role = principal.grant.role();
        let whole = if principal.grant.reach().is_all() { Ok(()) } else { Err(Denied::Reach) };
        match (self, role) {
            (Self::Open | Self::Own | Self::Read, _) => Ok(()),
            (Self::ReadWhole, _) => whole,
            (Self::Operate, Role::Operator | Role::Administrator) => Ok(()),
            (Self::Administer, Role::Administrator) => whole,
            (Self::Accounts, Role::Administrator) => match principal.who {
                Who::LocalOperator => Err(Denied::NotSetUp),
                Who::User(..) | Who::ApiToken(_) => whole,
            },
            (Self::Inspect, Role::Administrator | Role::Auditor) => whole,
            (Self::Operate, Role::Viewer | Role::Auditor)
            | (Self::Administer | Self::Accounts, Role::Viewer | Role::Operator | Role::Auditor)
            | (Self::Inspect, Role::Viewer | Role::Operator) => Err(Denied::Role),
        }
    }
}

/// What the body of a write is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// JSON, which a foreign page cannot send without asking first.
    Json,
    /// A form of our own page, which has a token in it.
    Form,
    /// The same with files.
    Files,
    /// A message of gRPC, which no browser sends.
    Grpc,
}

/// What the guard knows of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) access: Access,
    pub(crate) takes: Takes,
}

/// The rows of all routes, by address and method.
pub(crate) type Table = HashMap<String, Vec<(Method, Row)>>;

/// Routes with their rows. There is no other way to add one, so none is without.
pub(crate) struct Routes {
    router: Router<Core>,
    prefix: &'static str,
    rows: Table,
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self { router: Router::new(), prefix: "", rows: Table::new() }
    }

    /// What follows is below an address.
    pub(crate) fn under(self, prefix: &'static str) -> Self {
        Self { prefix, ..self }
    }

    pub(crate) fn get<T: 'static>(
        self,
        path: &str,
        access: Access,
        handler: impl Handler<T, Core>,
    ) -> Self {
        self.route(path, (Method::GET, access, Takes::Json), get(handler))
    }

    /// A form of the page.
    pub(crate) fn form<T: 'static>(
        self,
        path: &str,
        access: Access,
        handler: impl Handler<T, Core>,
    ) -> Self {
        self.route(path, (Method::POST, access, Takes::Form), post(handler))
    }

    /// A form of the page with files, as large as this.
    pub(crate) fn files<T: 'static>(
        self,
        path: &str,
        access: Access,
        max_bytes: usize,
        handler: impl Handler<T, Core>,
    ) -> Self {
        let handler = post(handler).layer(DefaultBodyLimit::max(max_bytes));
        self.route(path, (Method::POST, access, Takes::Files), handler)
    }

    /// A method of a gRPC service.
    pub(crate) fn grpc<T: 'static>(
        self,
        path: &str,
        access: Access,
        handler: impl Handler<T, Core>,
    ) -> Self {
        self.route(path, (Method::POST, access, Takes::Grpc), post(handler))
    }

    pub(crate) fn route(
        mut self,
        path: &str,
        (method, access, takes): (Method, Access, Takes),
        handler: MethodRouter<Core>,
    ) -> Self {
        let path = format!("{}{path}", self.prefix);
        self.router = self.router.route(&path, handler);
        self.rows.entry(path).or_default().push((method, Row { access, takes }));
        self
    }

    pub(crate) fn finish(self) -> (Router<Core>, Table) {
        (self.router, self.rows)
    }
}
