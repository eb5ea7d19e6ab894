//! What people do with one incident.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use busyhour_model::desk::{Deed, IncidentAct, Owner, Remark};
use busyhour_store::DeskRefusal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::incidents::{found, reference};
use super::{Items, Single, body, items, single};
use crate::app::App;
use crate::place::IncidentRef;
use crate::problem::Problem;
use crate::scoped::Scoped;
use crate::text;

/// One act.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ActItem {
    /// Its number among all acts.
    number: u64,
    at_utc: String,
    by: String,
    /// `note`, `acknowledge`, `unacknowledge`, `own`, `disown`, `merge` or `split`.
    act: &'static str,
    /// What was said with it; null where that may tell of an incident that who asks does not see.
    text: Option<String>,
    /// Of `own`: who must act, and how to reach them.
    owner: Option<String>,
    owner_contact: Option<String>,
    /// Of `merge`: the number of the incident that it is part of; null where who asks does not see that.
    into: Option<u64>,
    /// Which opening of the incident it was done in.
    opening: u32,
}

impl ActItem {
    /// `hidden` when who asks does not see the incident that it was merged into.
    fn new(act: &IncidentAct, hidden: bool) -> Self {
        let owner = match &act.deed {
            Deed::Own(owner) => Some(owner),
            _ => None,
        };
        let into = match &act.deed {
            Deed::Merge { into_number, .. } if !hidden => Some(*into_number),
            _ => None,
        };
        let text = act.deed.remark().filter(|_| !hidden);
        Self {
            number: act.number,
            at_utc: text::utc(act.at),
            by: act.by.clone(),
            act: act.deed.as_str(),
            text: text.map(ToString::to_string),
            owner: owner.map(|owner| owner.name.to_string()),
            owner_contact: owner.and_then(|owner| owner.contact.as_ref()).map(ToString::to_string),
            into,
            opening: act.openings,
        }
    }
}

impl From<DeskRefusal> for Problem {
    fn from(refusal: DeskRefusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            DeskRefusal::NoIncident | DeskRefusal::NoQuiet => Self::not_found(detail),
            DeskRefusal::NotOpen
            | DeskRefusal::NotAcknowledged
            | DeskRefusal::NotOwned
            | DeskRefusal::NotMerged
            | DeskRefusal::Merged
            | DeskRefusal::IntoPart
            | DeskRefusal::MergeClosed
            | DeskRefusal::TooMany { .. }
            | DeskRefusal::QuietOver => Self::conflict(detail),
            DeskRefusal::IntoItself
            | DeskRefusal::IntoNone
            | DeskRefusal::QuietTimes
            | DeskRefusal::QuietScopes
            | DeskRefusal::QuietPlace => Self::unprocessable(detail, Vec::new()),
        }
    }
}

/// What somebody wants to do, before it is known which other incident it names.
#[derive(Debug)]
pub(crate) enum Wish {
    Do(Deed),
    Merge { into: IncidentRef, reason: Remark },
}

/// What was done, oldest first.
pub(crate) async fn list(app: App, Path(id): Path<String>) -> Items<ActItem> {
    let wanted = reference(&id)?;
    app.with_store(move |services| {
        let incident = found(services, wanted)?;
        let mut listed = Vec::new();
        for act in &services.desk.acts(&incident)? {
            listed.push(ActItem::new(act, services.desk.hides(act)?));
        }
        Ok(items(listed))
    })
    .await
}

/// Does something with an incident.
pub(crate) fn do_with(
    services: &Scoped,
    wanted: IncidentRef,
    wish: Wish,
) -> Result<IncidentAct, Problem> {
    let incident = found(services, wanted)?;
    let deed = match wish {
        Wish::Do(deed) => deed,
        Wish::Merge { into, reason } => {
            let whole = into.find(&services.control)?.ok_or(DeskRefusal::IntoNone)?;
            Deed::Merge { into: whole.id, into_number: whole.number, reason }
        }
    };
    let by = services.act((services.clock)());
    Ok(services.desk.act(&incident, &deed, &by)??)
}

type Done = Result<(StatusCode, Json<Single<ActItem>>), Problem>;

async fn done(app: App, id: &str, wish: Wish) -> Done {
    let wanted = reference(id)?;
    let act = app.with_store(move |services| do_with(services, wanted, wish)).await?;
    Ok((StatusCode::CREATED, single(ActItem::new(&act, false))))
}

/// A text that somebody wrote.
pub(crate) fn written<T>(name: &str, text: &str) -> Result<T, Problem>
where
    T: std::str::FromStr<Err = busyhour_model::desk::InvalidRemark>,
{
    text.parse().map_err(|error| Problem::unprocessable(format!("{name}: {error}"), Vec::new()))
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Note {
    text: String,
}

/// Says something of an incident.
pub(crate) async fn note(
    app: App,
    Path(id): Path<String>,
    request: Result<Json<Note>, JsonRejection>,
) -> Done {
    let note = Deed::Note(written("text", &body(request)?.text)?);
    done(app, &id, Wish::Do(note)).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acknowledge {
    reason: String,
}

/// Says that an incident is seen, and what becomes of it.
pub(crate) async fn acknowledge(
    app: App,
    Path(id): Path<String>,
    request: Result<Json<Acknowledge>, JsonRejection>,
) -> Done {
    let seen = Deed::Acknowledge(written("reason", &body(request)?.reason)?);
    done(app, &id, Wish::Do(seen)).await
}

/// Takes that back.
pub(crate) async fn unacknowledge(app: App, Path(id): Path<String>) -> Done {
    done(app, &id, Wish::Do(Deed::Unacknowledge)).await
}

/// Who must act.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Own {
    name: String,
    contact: Option<String>,
}

/// Reads who must act; no contact and an empty one are the same.
pub(crate) fn owner(name: &str, contact: Option<&str>) -> Result<Owner, Problem> {
    let contact = contact.filter(|contact| !contact.trim().is_empty());
    Ok(Owner {
        name: written("name", name)?,
        contact: contact.map(|contact| written("contact", contact)).transpose()?,
    })
}

/// Says who must act.
pub(crate) async fn own(
    app: App,
    Path(id): Path<String>,
    request: Result<Json<Own>, JsonRejection>,
) -> Done {
    let Own { name, contact } = body(request)?;
    done(app, &id, Wish::Do(Deed::Own(owner(&name, contact.as_deref())?))).await
}

/// Leaves that to the table of owners again.
pub(crate) async fn disown(app: App, Path(id): Path<String>) -> Done {
    done(app, &id, Wish::Do(Deed::Disown)).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Merge {
    /// The other's number or id.
    into: String,
    reason: String,
}

/// Says that an incident is part of another.
pub(crate) async fn merge(
    app: App,
    Path(id): Path<String>,
    request: Result<Json<Merge>, JsonRejection>,
) -> Done {
    let Merge { into, reason } = body(request)?;
    let wish = Wish::Merge { into: reference(&into)?, reason: written("reason", &reason)? };
    done(app, &id, wish).await
}

/// Takes that back.
pub(crate) async fn split(app: App, Path(id): Path<String>) -> Done {
    done(app, &id, Wish::Do(Deed::Split)).await
}
