//! The command line of `busyhour report` and `busyhour task`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum ReportCommand {
    /// List the reports that there are: the last periods of each kind that are over
    #[command(after_help = "\
Examples:
  busyhour report ls
  busyhour report ls -o json")]
    Ls,
    /// Show one report, by its kind and period as `report ls` prints them
    #[command(after_help = "\
Examples:
  busyhour report show weekly
  busyhour report show monthly 2026-08 --format html --out august.html")]
    Show {
        /// The kind
        #[arg(value_parser = ["daily", "weekly", "monthly"])]
        kind: String,
        /// The period; otherwise the last that is over
        period: Option<String>,
        #[command(flatten)]
        form: ReportForm,
    },
    /// What happened on a day: incidents, the worst buildings, who is silent
    #[command(after_help = "\
Examples:
  busyhour report daily
  busyhour report daily --date 2026-08-21 --format html --out digest.html")]
    Daily {
        /// The day, as 2026-08-21; otherwise yesterday
        #[arg(long, value_name = "DATE")]
        date: Option<String>,
        #[command(flatten)]
        form: ReportForm,
    },
    /// The Quality Experience Review of a week, building by building
    #[command(after_help = "\
Examples:
  busyhour report weekly
  busyhour report weekly --week 2026-W34 --format html --out review.html
  busyhour report weekly --building \"Berlin HQ\" --format csv --table subnets")]
    Weekly {
        /// The week, as 2026-W34, or a date in it; otherwise the last that is over
        #[arg(long, value_name = "WEEK", visible_alias = "date")]
        week: Option<String>,
        #[command(flatten)]
        form: ReportForm,
    },
    /// What the steering committee reads of a month
    #[command(after_help = "\
Examples:
  busyhour report monthly --month 2026-08 --format html --out august.html
  busyhour report monthly --format csv --table targets > targets.csv")]
    Monthly {
        /// The month, as 2026-08, or a date in it; otherwise the last that is over
        #[arg(long, value_name = "MONTH", visible_alias = "date")]
        month: Option<String>,
        #[command(flatten)]
        form: ReportForm,
    },
}

/// Of what, and in which form.
#[derive(Debug, Args)]
pub(crate) struct ReportForm {
    /// Of one building, by its name or its id; otherwise of all
    #[arg(long, value_name = "NAME")]
    pub(crate) building: Option<String>,
    /// How it is written: text, html, csv or json [default: as -o says, else text]
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) format: Option<ReportFormat>,
    /// Which table is written as CSV; otherwise the first
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Option<String>,
    /// The file that it is written to, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Sentences and lists
    Text,
    /// A page of its own that prints on A4
    Html,
    /// One table, figures raw, safe to open in a spreadsheet
    Csv,
    /// All of it, figures raw
    Json,
}

impl ReportFormat {
    /// As the collector calls it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// List the tasks of the calendar: what is due, what is overdue, who signed off what
    #[command(after_help = "\
Exit code 3 with --exit-code when a task is overdue.

Examples:
  busyhour task ls
  busyhour task ls --exit-code > /dev/null")]
    Ls {
        /// Exit with 3 when a task is overdue
        #[arg(long)]
        exit_code: bool,
    },
    /// Show one task: what it is, what helps with it, how it stands
    #[command(after_help = "\
Examples:
  busyhour task show quality-review
  busyhour task show quality-review -o yaml")]
    Show {
        /// The task, as `task ls` prints it
        task: String,
    },
    /// List who signed off what, newest first
    #[command(after_help = "\
Examples:
  busyhour task history
  busyhour task history -o csv > signed-off.csv")]
    History,
    /// Sign a task off for a period
    #[command(after_help = "\
Examples:
  busyhour task done quality-review
  busyhour task done quality-review --period 2026-W34 --note \"Berlin: ticket 4711 with the provider\"")]
    Done {
        /// The task, as `task ls` prints it
        task: String,
        /// For which day, week or month; otherwise the last that is over
        #[arg(long, value_name = "PERIOD")]
        period: Option<String>,
        /// What is worth to be remembered
        #[arg(long, value_name = "TEXT")]
        note: Option<String>,
    },
}
