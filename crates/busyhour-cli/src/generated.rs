//! What is made of the command line itself: completions and the manual.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::Outcome;
use crate::args::Cli;

/// Prints the script that completes commands in a shell.
pub(crate) fn completions(shell: Shell) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "busyhour", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(Outcome::Done)
}

/// Writes the manual: a page for each command that is for people.
pub(crate) fn manual(folder: &Path) -> anyhow::Result<Outcome> {
    let writing = || format!("write the manual into {}", folder.display());
    fs::create_dir_all(folder).with_context(writing)?;
    clap_mangen::generate_to(Cli::command(), folder).with_context(writing)?;
    eprintln!("the manual is in {}; man -l reads a page", folder.display());
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Command;

    use super::*;

    /// The commands that people type, by their words.
    fn walk(command: &Command, words: &[&str], visit: &mut impl FnMut(&[&str], &Command)) {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let words = [words, &[sub.get_name()]].concat();
            visit(&words, sub);
            walk(sub, &words, visit);
        }
    }

    #[test]
    fn every_command_has_an_example_of_itself() {
        let mut without = Vec::new();
        walk(&Cli::command(), &[], &mut |words, command| {
            if command.has_subcommands() {
                return;
            }
            let typed = words.join(" ");
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = help.split_once("Example").map_or("", |(_, examples)| examples);
            if !examples.contains(&typed) {
                without.push(typed);
            }
        });
        assert!(without.is_empty(), "no Examples section with the command in it: {without:?}");
    }

    #[test]
    fn the_manual_has_a_page_for_every_command_and_for_no_other() {
        let folder = tempfile::tempdir().unwrap();
        manual(folder.path()).unwrap();
        let pages: BTreeSet<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut expected = BTreeSet::from(["busyhour.1".to_owned()]);
        walk(&Cli::command(), &[], &mut |words, _| {
            expected.insert(format!("busyhour-{}.1", words.join("-")));
        });
        assert_eq!(pages, expected);
        let page = fs::read_to_string(folder.path().join("busyhour-top.1")).unwrap();
        assert!(page.contains("busyhour top \\-\\-once"), "{page}");
    }

    /// Set to write the table of commands in docs/CLI.md anew.
    const UPDATE: &str = "UPDATE_CLI";

    #[test]
    fn the_table_of_commands_is_that_of_the_program() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CLI.md");
        let text = fs::read_to_string(&path).unwrap();
        let (begin, end) = ("<!-- commands -->\n", "<!-- /commands -->");
        let (before, rest) = text.split_once(begin).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        let mut table = "| Command | |\n|---|---|\n".to_owned();
        walk(&Cli::command(), &[], &mut |words, command| {
            if !command.has_subcommands() {
                let about = command.get_about().map(ToString::to_string).unwrap_or_default();
                table.push_str(&format!("| `{}` | {about} |\n", words.join(" ")));
            }
        });
        let expected = format!("{before}{begin}{table}{end}{after}");
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&path, &expected).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        assert!(text == expected, "docs/CLI.md: run with {UPDATE}=1");
    }

    #[test]
    fn completions_know_every_command_and_option() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "busyhour", &mut script);
            let script = String::from_utf8(script).unwrap();
            walk(&Cli::command(), &[], &mut |words, command| {
                let name = words.last().unwrap();
                assert!(script.contains(name), "{shell}: {words:?}");
                for argument in command.get_arguments().filter(|one| !one.is_hide_set()) {
                    let long = argument.get_long().unwrap_or_default();
                    assert!(script.contains(long), "{shell}: {words:?} --{long}");
                }
            });
        }
    }
}
