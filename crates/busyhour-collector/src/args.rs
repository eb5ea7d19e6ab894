//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

const ABOUT: &str = "Takes what agents measured, judges it, tells people, and serves API and page";

const EXAMPLES: &str = "\
Examples:
  busyhour-collector run --config /etc/busyhour/collector.toml
  busyhour-collector run --set collector.data_dir=/var/lib/busyhour --set api.listen=127.0.0.1:0
  busyhour-collector check-config --config /etc/busyhour/collector.toml
  BUSYHOUR__LOG__LEVEL=debug busyhour-collector run --config collector.toml
  busyhour-collector backup --config /etc/busyhour/collector.toml --to /srv/backups --keep 14
  busyhour-collector restore --from /srv/backups --to /var/lib/busyhour-collector
  busyhour-collector check --data-dir /var/lib/busyhour-collector

Every setting has the layers default, file, environment BUSYHOUR__SECTION__FIELD, --set; the last
one wins. The addresses in use are logged and written to addresses.json in the data directory. The
collector stops cleanly on SIGTERM or Ctrl-C.";

/// `busyhour-collector`: the process's own command line.
#[derive(Debug, Parser)]
#[command(name = "busyhour-collector", version, about = ABOUT, after_help = EXAMPLES)]
#[command(max_term_width = 100)]
pub struct CollectorCli {
    /// What to do.
    #[command(flatten)]
    pub args: CollectorArgs,
}

/// The collector's commands, also for a process that plays the collector as one of its roles.
#[derive(Debug, Clone, Args)]
pub struct CollectorArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: CollectorCommand,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub enum CollectorCommand {
    /// Ingest, judge, tell and serve until told to stop
    Run(ConfigArgs),
    /// Read the configuration, print what is in force, and say what is wrong with it
    CheckConfig(ConfigArgs),
    /// Look through the store of a stopped collector, every row of it, and change nothing
    #[command(after_help = CHECK_HELP)]
    Check(DataDirArgs),
    /// Copy the store, of a running collector too, into a new folder below --to
    #[command(after_help = BACKUP_HELP)]
    Backup(BackupArgs),
    /// Bring a backup back into an empty directory
    #[command(after_help = RESTORE_HELP)]
    Restore(RestoreArgs),
    /// Help for who has this machine and no way into the collector
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Make the next authority of agents' certificates; the one before stays trusted
    #[command(after_help = ROTATE_HELP)]
    RotateCa(ConfigArgs),
    /// Count the bad windows of stored slots again, by the limits in force at another time
    #[command(after_help = REJUDGE_HELP)]
    Rejudge(RejudgeArgs),
}

const CHECK_HELP: &str = "\
Each file is looked at by SQLite, its tables are counted again against their digests, and every record
in it is decoded. One line for each finding; the exit code is 1 when there is any.";

const BACKUP_HELP: &str = "\
Each backup is a folder named by its moment and is whole by itself; files that did not change since the
backup before are shared with it by hard links. Every copy is looked through before it counts, and
`sha256sum --check manifest.txt` in the folder looks again. While a backup runs nothing is moved from the
journal into partitions and nothing is deleted; agents deliver as ever. Run it as the collector's user
or as root.";

const RESTORE_HELP: &str = "\
--from is one backup, or the folder that holds them, whose newest is taken. Every file is compared with
what was backed up. Records that agents delivered after the backup are lost: they were acknowledged,
and agents delete what was.";

const RESET_HELP: &str = "\
Run it while the collector is stopped, as the collector's user or as root. The password is typed, or is the
first line of standard input; it is no argument. All sessions of that administrator end, and the audit says
that the local operator did it.

Examples:
  busyhour-collector admin reset eva --config /etc/busyhour/collector.toml
  busyhour-collector admin reset eva --data-dir /var/lib/busyhour-collector < password";

const ROTATE_HELP: &str = "\
Run it while the collector is stopped. Agents get both authorities at their next renewal and are not touched;
after one certificate life plus 90 days the old certificates may be deleted from identity/authority.pem in the
data directory. A company's own authority is changed where it is made: the collector takes over files that
change while it runs.";

const REJUDGE_HELP: &str = "\
Run it while the collector is stopped. Each path is judged by the table of its requirement profile that was in
force at --limits-of; the figures in slots make that exact. Days that change are judged anew when the
collector runs; raw windows keep the verdict they were given.

Example:
  busyhour-collector rejudge --data-dir /var/lib/busyhour --from 2026-10-01 --until 2026-10-31 --limits-of 2026-11-01";

/// Which store.
#[derive(Debug, Clone, Default, Args)]
pub struct DataDirArgs {
    /// The data directory; otherwise that of the configuration
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What helps without signing in.
#[derive(Debug, Clone, Subcommand)]
pub enum AdminCommand {
    /// Give an administrator a new password
    #[command(after_help = RESET_HELP)]
    Reset(ResetArgs),
}

/// Whose password.
#[derive(Debug, Clone, Args)]
pub struct ResetArgs {
    /// The administrator's name
    pub name: String,
    /// Which store.
    #[command(flatten)]
    pub data: DataDirArgs,
}

/// How to take a backup.
#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// Which store.
    #[command(flatten)]
    pub data: DataDirArgs,
    /// The folder that holds backups; better on another disk, or copied to one
    #[arg(long, value_name = "FOLDER")]
    pub to: PathBuf,
    /// Delete the oldest backups beyond this many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
}

/// What to bring back, and where.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// A backup, or a folder of backups
    #[arg(long, value_name = "FOLDER")]
    pub from: PathBuf,
    /// The data directory to be: empty, or not there
    #[arg(long, value_name = "FOLDER")]
    pub to: PathBuf,
}

/// What to judge again, and by which limits.
#[derive(Debug, Clone, Args)]
pub struct RejudgeArgs {
    /// Which store.
    #[command(flatten)]
    pub data: DataDirArgs,
    /// The first day, of UTC
    #[arg(long, value_name = "DATE")]
    pub from: jiff::civil::Date,
    /// The last day, of UTC
    #[arg(long, value_name = "DATE")]
    pub until: jiff::civil::Date,
    /// The limits in force at the beginning of this day of UTC
    #[arg(long, value_name = "DATE")]
    pub limits_of: jiff::civil::Date,
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// A TOML file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, such as `log.level=debug`; may be repeated. Lists are written as in TOML
    #[arg(long = "set", value_name = "SECTION.FIELD=VALUE")]
    pub overrides: Vec<String>,
    /// Stop when standard input closes, so as not to outlive whoever holds its other end
    #[arg(long, hide = true)]
    pub stop_with_stdin: bool,
}
