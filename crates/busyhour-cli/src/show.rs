//! One thing of a list, by its name.

use anyhow::bail;
use serde_json::Value;

use crate::client::{Envelope, Item};

/// What there is a list of.
pub(crate) struct Kind {
    /// As a sentence says it: `no subnet`.
    pub(crate) what: &'static str,
    /// The fields it may be named by, the one that people use first.
    pub(crate) keys: &'static [&'static str],
    /// The command that lists them.
    pub(crate) ls: &'static str,
}

/// Cuts a list to the one thing that is meant: what is written exactly so goes first, then what differs
/// in case only, when it is one.
///
/// # Errors
/// When there is none, or when several are meant.
pub(crate) fn pick(mut list: Envelope, kind: &Kind, wanted: &str) -> anyhow::Result<Envelope> {
    let lower = wanted.to_lowercase();
    let exact = |item: &Item| kind.keys.iter().any(|key| text(item, key) == wanted);
    let alike = |item: &Item| kind.keys.iter().any(|key| text(item, key).to_lowercase() == lower);
    let keep: Vec<bool> = match list.items.iter().any(exact) {
        true => list.items.iter().map(exact).collect(),
        false => list.items.iter().map(alike).collect(),
    };
    let mut keep = keep.into_iter();
    list.items.retain(|_| keep.next().unwrap_or(false));
    match list.items.as_slice() {
        [_] => Ok(list),
        [] => bail!("there is no {} {wanted:?}; `busyhour {}` lists them", kind.what, kind.ls),
        several => bail!("{wanted:?} may be {}: write it as it is there", names(several, kind)),
    }
}

/// What to write instead: the names where they differ, otherwise what differs.
fn names(items: &[Item], kind: &Kind) -> String {
    let tells = |key: &&&str| {
        let mut words: Vec<String> = items.iter().map(|item| text(item, key)).collect();
        words.sort_unstable();
        words.dedup();
        words.len() == items.len()
    };
    let key = kind.keys.iter().find(tells).copied().unwrap_or_default();
    let name = |item: &Item| match (key == kind.keys[0], text(item, "building")) {
        (true, _) => format!("{:?}", text(item, key)),
        (false, building) if building.is_empty() => text(item, key),
        (false, building) => format!("{} ({building})", text(item, key)),
    };
    items.iter().map(name).collect::<Vec<_>>().join(" or ")
}

/// A field as one would type it.
pub(crate) fn text(item: &Item, key: &str) -> String {
    match item.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SUBNETS: Kind = Kind { what: "subnet", keys: &["prefix", "id"], ls: "subnet ls" };

    fn subnets() -> Envelope {
        let rows = json!([
            {"prefix": "10.1.0.0/24", "id": "a1", "building": "Berlin HQ"},
            {"prefix": "10.1.0.0/24", "id": "b2", "building": "Bonn"},
            {"prefix": "2001:db8::/64", "id": "c3", "building": "Bonn"},
        ]);
        let rows = rows.as_array().unwrap().iter();
        Envelope::new(rows.map(|row| row.as_object().unwrap().clone()).collect())
    }

    #[test]
    fn one_thing_is_meant_or_it_is_said_what_to_write() {
        let picked = |wanted: &str| pick(subnets(), &SUBNETS, wanted);
        assert_eq!(text(&picked("a1").unwrap().items[0], "building"), "Berlin HQ");
        assert_eq!(text(&picked("2001:DB8::/64").unwrap().items[0], "id"), "c3");
        let told = picked("10.1.0.0/24").unwrap_err().to_string();
        assert!(told.contains("a1 (Berlin HQ) or b2 (Bonn)"), "{told}");
        let none = picked("10.9.0.0/24").unwrap_err().to_string();
        assert!(none.contains("no subnet") && none.contains("`busyhour subnet ls`"), "{none}");
    }
}
