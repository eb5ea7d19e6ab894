//! What a provider's claims are worth here: a name and a grant. Pure.

use busyhour_model::{Building, BuildingId};
use busyhour_store::{AccountName, Grant, InvalidAccount, Reach, Role};
use serde_json::Value;
use thiserror::Error;

use super::token::Claims;

/// The most rules of one provider.
const MAX_RULES: usize = 1_000;

/// Who has a claim gets a role. The first rule that fits counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The claim: a name, or a pointer into the claims that begins with `/` (RFC 6901).
    pub claim: String,
    /// What it is, or has among its items.
    pub value: String,
    /// The role; anything but administrator.
    pub role: Role,
    /// The buildings by name or id; all where there are none.
    pub buildings: Option<Vec<String>>,
}

/// Rules that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidRules {
    /// Nobody would ever be let in.
    #[error("there is no rule: nobody could sign in")]
    None,
    /// More than 1,000.
    #[error("there are more than {MAX_RULES} rules")]
    TooMany,
    /// A rule gives what no rule can give.
    #[error("a rule for {claim:?} cannot be")]
    Grant {
        /// Its claim.
        claim: String,
        /// Why.
        source: InvalidAccount,
    },
}

/// Checks that rules can be.
pub(super) fn check(rules: &[Rule]) -> Result<(), InvalidRules> {
    if rules.is_empty() {
        return Err(InvalidRules::None);
    }
    if rules.len() > MAX_RULES {
        return Err(InvalidRules::TooMany);
    }
    for rule in rules {
        let refused = |source| InvalidRules::Grant { claim: rule.claim.clone(), source };
        if rule.role == Role::Administrator {
            return Err(refused(InvalidAccount::ProvenAdministrator));
        }
        let reach = match rule.buildings {
            None => Reach::All,
            Some(_) => Reach::only(Vec::new()),
        };
        Grant::new(rule.role, reach).map_err(refused)?;
    }
    Ok(())
}

/// The rule that counts for somebody.
pub(super) fn find<'a>(rules: &'a [Rule], claims: &Claims) -> Option<&'a Rule> {
    rules.iter().find(|rule| {
        let claim = match rule.claim.starts_with('/') {
            true => pointed(claims, &rule.claim),
            false => claims.all.get(&rule.claim),
        };
        let is_it = |value: &Value| value.as_str() == Some(rule.value.as_str());
        match claim {
            Some(Value::Array(values)) => values.iter().any(is_it),
            Some(value) => is_it(value),
            None => false,
        }
    })
}

fn pointed<'a>(claims: &'a Claims, pointer: &str) -> Option<&'a Value> {
    let (first, rest) = match pointer.get(1..)?.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (pointer.get(1..)?, None),
    };
    let value = claims.all.get(&first.replace("~1", "/").replace("~0", "~"))?;
    match rest {
        Some(rest) => value.pointer(&format!("/{rest}")),
        None => Some(value),
    }
}

/// What a rule gives while these buildings are in force. A building that is not there is not seen: who
/// is limited to buildings never sees more because a name was mistyped.
pub(super) fn grant(rule: &Rule, buildings: &[Building]) -> Result<Grant, InvalidAccount> {
    let reach = match &rule.buildings {
        None => Reach::All,
        Some(names) => {
            let has = |building: &&Building| {
                names.iter().any(|name| building.name == *name || building.id.to_string() == *name)
            };
            let own: Vec<BuildingId> = buildings.iter().filter(has).map(|one| one.id).collect();
            Reach::only(own)
        }
    };
    Grant::new(rule.role, reach)
}

/// What somebody is called here.
pub(super) fn name(claims: &Claims, claim: &str) -> Option<AccountName> {
    let said = claims.all.get(claim).and_then(Value::as_str)?;
    AccountName::new(said.to_ascii_lowercase()).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule(claim: &str, value: &str, role: Role) -> Rule {
        Rule { claim: claim.to_owned(), value: value.to_owned(), role, buildings: None }
    }

    fn claims(all: &Value) -> Claims {
        Claims { subject: "7".to_owned(), all: all.as_object().unwrap().clone() }
    }

    #[test]
    fn the_first_rule_that_fits_counts_and_without_one_there_is_nothing() {
        let rules = [
            rule("groups", "noc", Role::Operator),
            rule("groups", "staff", Role::Viewer),
            rule("/realm_access/roles", "audit", Role::Auditor),
            rule("/a~1b", "c~d", Role::Viewer),
            rule("https://example.org/role", "viewer", Role::Viewer),
        ];
        for (all, expected) in [
            (json!({ "groups": ["staff", "noc"] }), Some(0)),
            (json!({ "groups": "staff" }), Some(1)),
            (json!({ "realm_access": { "roles": ["audit"] } }), Some(2)),
            (json!({ "a/b": "c~d" }), Some(3)),
            (json!({ "https://example.org/role": "viewer" }), Some(4)),
            (json!({ "groups": ["Noc", "nocturnal", 7, null, ["noc"]] }), None),
            (json!({ "groups": { "noc": true } }), None),
            (json!({ "realm_access": "audit" }), None),
            (json!({}), None),
        ] {
            let found = find(&rules, &claims(&all));
            assert_eq!(found, expected.map(|at: usize| &rules[at]), "{all}");
        }
    }

    #[test]
    fn no_rule_makes_an_administrator_or_a_limited_auditor() {
        assert_eq!(check(&[]), Err(InvalidRules::None));
        assert!(check(&[rule("groups", "noc", Role::Operator)]).is_ok());
        let administrator = rule("groups", "root", Role::Administrator);
        assert!(matches!(check(&[administrator]), Err(InvalidRules::Grant { .. })));
        let auditor = Rule {
            buildings: Some(vec!["Berlin".to_owned()]),
            ..rule("groups", "audit", Role::Auditor)
        };
        assert!(matches!(check(&[auditor]), Err(InvalidRules::Grant { .. })));
        let many = vec![rule("groups", "noc", Role::Viewer); MAX_RULES + 1];
        assert_eq!(check(&many), Err(InvalidRules::TooMany));
    }

    #[test]
    fn a_name_is_taken_where_an_account_can_have_it() {
        let told = claims(&json!({ "upn": "Paula@Example.org", "name": "Paula Müller", "n": 7 }));
        assert_eq!(name(&told, "upn").unwrap().as_str(), "paula@example.org");
        for none in ["name", "n", "email"] {
            assert_eq!(name(&told, none), None, "{none}");
        }
    }
}
