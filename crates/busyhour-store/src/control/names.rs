//! A name is taken out of what was written of an incident, and of what people wrote.

use busyhour_model::Incident;
use busyhour_model::desk::{Remark, ShortRemark};
use rusqlite::{Connection, params};

/// Where people write, and how many characters at most.
const WRITTEN: [(&str, &str, usize); 7] = [
    ("acts", "remark", Remark::MOST),
    ("acts", "name", ShortRemark::MOST),
    ("acts", "contact", ShortRemark::MOST),
    ("owners", "name", ShortRemark::MOST),
    ("owners", "contact", ShortRemark::MOST),
    ("quiets", "reason", Remark::MOST),
    ("sign_offs", "note", Remark::MOST),
];

/// Puts `instead` where people wrote `name`, of whatever incident, owner, quiet time or task. What would be
/// too long then is cut: else nobody could read it any more.
pub(super) fn unsay(sql: &Connection, name: &str, instead: &str) -> rusqlite::Result<()> {
    for (table, column, most) in WRITTEN {
        let texts: Vec<String> = sql
            .prepare(&format!(
                "SELECT DISTINCT {column} FROM {table} WHERE instr({column}, ?1) > 0"
            ))?
            .query_map([name], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let mut put =
            sql.prepare(&format!("UPDATE {table} SET {column} = ?2 WHERE {column} = ?1"))?;
        for text in texts {
            let without: String = replaced(&text, name, instead).chars().take(most).collect();
            if without != text {
                put.execute(params![text, without])?;
            }
        }
    }
    Ok(())
}

/// Puts `instead` where an incident's texts say `name`.
pub(super) fn replace(incident: &mut Incident, name: &str, instead: &str) {
    let quoted = name.escape_debug().to_string();
    let texts = [&mut incident.sentence, &mut incident.paragraph].into_iter();
    for text in texts.chain(incident.evidence.iter_mut().map(|one| &mut one.text)) {
        for name in [name, &quoted] {
            if text.contains(name) {
                *text = replaced(text, name, instead);
            }
        }
    }
}

/// The text with `instead` where `name` stands by itself, not as a part of a longer word or name.
pub(super) fn replaced(text: &str, name: &str, instead: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(name).filter(|_| !name.is_empty()) {
        out.push_str(before);
        let alone = !out.ends_with(in_name) && !after.starts_with(in_name);
        out.push_str(if alone { instead } else { name });
        rest = after;
    }
    out.push_str(rest);
    out
}

fn in_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '-' || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_where_it_stands_by_itself() {
        for (text, expected) in [
            ("", ""),
            ("Hafen, machine hh-1: calls break", "Hafen, machine AGENT: calls break"),
            ("in agent \"hh-1\".", "in agent \"AGENT\"."),
            ("hh-1", "AGENT"),
            ("hh-1 hh-1", "AGENT AGENT"),
            ("hh-12, xhh-1, hh-1-b and hh-1_", "hh-12, xhh-1, hh-1-b and hh-1_"),
            ("hh-1.", "AGENT."),
        ] {
            assert_eq!(replaced(text, "hh-1", "AGENT"), expected, "{text}");
        }
        assert_eq!(replaced("nobody", "", "AGENT"), "nobody");
        assert_eq!(replaced("aß, ßa", "ß", "x"), "aß, ßa");
    }
}
