//! The forms of an incident's page: what somebody does with it.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path};
use axum::response::{IntoResponse as _, Redirect, Response};
use busyhour_model::desk::{Deed, QuietKind};
use serde::Deserialize;

use super::PageProblem;
use crate::app::App;
use crate::json::acts::{Wish, do_with, owner, written};
use crate::json::incidents::{found, reference};
use crate::json::quiet::{Make, make};
use crate::problem::Problem;
use crate::signin::pages::{check_token, said};

/// What is done, with whatever that needs.
#[derive(Deserialize)]
pub(crate) struct ActForm {
    token: String,
    act: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    contact: String,
    #[serde(default)]
    into: String,
    #[serde(default)]
    until: String,
}

impl ActForm {
    fn wish(&self) -> Result<Wish, Problem> {
        Ok(match self.act.as_str() {
            "note" => Wish::Do(Deed::Note(written("note", &self.text)?)),
            "acknowledge" => Wish::Do(Deed::Acknowledge(written("reason", &self.text)?)),
            "unacknowledge" => Wish::Do(Deed::Unacknowledge),
            "own" => Wish::Do(Deed::Own(owner(&self.name, Some(&self.contact))?)),
            "disown" => Wish::Do(Deed::Disown),
            "merge" => Wish::Merge {
                into: reference(self.into.trim())?,
                reason: written("reason", &self.text)?,
            },
            "split" => Wish::Do(Deed::Split),
            _ => return Err(Problem::unprocessable("nobody does that here", Vec::new())),
        })
    }
}

/// Does it, and goes back to the incident.
pub(crate) async fn act(
    app: App,
    Path(id): Path<String>,
    form: Result<Form<ActForm>, FormRejection>,
) -> Result<Response, PageProblem> {
    let form = said(form)?;
    check_token(app.principal(), &form.token)?;
    let wanted = reference(&id)?;
    let number = app.with_store(move |services| {
        let incident = found(services, wanted)?;
        if form.act == "silence" {
            let silence = Make::of_incident(incident.number, form.until, form.text);
            make(services, QuietKind::Silence, &silence)?;
        } else {
            do_with(services, wanted, form.wish()?)?;
        }
        Ok(incident.number)
    });
    let number = number.await?;
    Ok(Redirect::to(&format!("/incidents/{number}#people")).into_response())
}
