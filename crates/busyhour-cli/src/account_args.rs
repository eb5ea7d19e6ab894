//! The command line of signing in, of users and of API tokens.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Reads what was measured and judged
    Viewer,
    /// Also adds and binds agents and imports loads
    Operator,
    /// Does everything
    Administrator,
    /// Reads everything, the audit and the accounts included, and changes nothing
    Auditor,
}

impl RoleArg {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
        }
    }
}

/// Where a password comes from; never from the command line itself.
#[derive(Debug, Args)]
pub(crate) struct PasswordArgs {
    /// A file whose first line is the password, or - for standard input; asked for on a terminal
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// Who signs in.
#[derive(Debug, Args)]
pub(crate) struct LoginArgs {
    /// The user's name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
}

/// What somebody is to do, and where.
#[derive(Debug, Args)]
pub(crate) struct GrantArgs {
    /// The role
    #[arg(long, value_name = "ROLE")]
    pub(crate) role: RoleArg,
    /// See this building alone, by its name or id; may be repeated. Viewers and operators only
    #[arg(long = "building", value_name = "BUILDING")]
    pub(crate) buildings: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// List the users: what each may do, and when it last signed in
    #[command(after_help = "\
Example:
  busyhour user ls")]
    Ls,
    /// Show one user
    #[command(after_help = "\
Example:
  busyhour user show vera")]
    Show {
        /// The user's name
        name: String,
    },
    /// Make the first administrator, with the code that the collector printed when it started
    #[command(after_help = "\
From then on everybody signs in, on this machine too. The code changes with every start.

Example:
  busyhour user first eva --code-file code.txt")]
    First {
        /// The administrator's name
        name: String,
        /// A file whose first line is the code, or - for standard input; asked for on a terminal
        #[arg(long, value_name = "FILE")]
        code_file: Option<PathBuf>,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Add a user
    #[command(after_help = "\
Examples:
  busyhour user add vera --role viewer --building \"Berlin HQ\" --building \"Hamburg\"
  busyhour user add max --role administrator --password-file max.txt")]
    Add {
        /// The user's name: lower-case letters, digits, '.', '_', '-' and '@'
        name: String,
        #[command(flatten)]
        grant: GrantArgs,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Give a user another role or other buildings; it holds at once
    #[command(after_help = "\
Example:
  busyhour user grant vera --role operator --building \"Berlin HQ\"")]
    Grant {
        /// The user's name
        name: String,
        #[command(flatten)]
        grant: GrantArgs,
    },
    /// Give a user another password; all of its sessions end
    #[command(after_help = "\
Example:
  busyhour user password vera")]
    Password {
        /// The user's name
        name: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Remove a user; all of its sessions end
    #[command(after_help = "\
Example:
  busyhour user rm vera")]
    Rm {
        /// The user's name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ApiTokenCommand {
    /// List the API tokens: what each may do, and when it was last used
    #[command(after_help = "\
Example:
  busyhour api-token ls")]
    Ls,
    /// Show one API token, without what it is
    #[command(after_help = "\
Example:
  busyhour api-token show grafana")]
    Show {
        /// The token's name
        name: String,
    },
    /// Make an API token and write it into a file that only its owner may read
    #[command(after_help = "\
The collector keeps a digest; what is not in the file is nowhere.

Examples:
  busyhour api-token create grafana --role viewer --days 365 --to grafana.token
  BUSYHOUR_TOKEN_FILE=grafana.token busyhour top")]
    Create {
        /// The token's name
        name: String,
        #[command(flatten)]
        grant: GrantArgs,
        /// For how many days it is good, at most 400
        #[arg(long, value_name = "N", default_value_t = 90)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..=400))]
        days: u32,
        /// The file to be made
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// Revoke an API token, at once
    #[command(after_help = "\
Example:
  busyhour api-token revoke grafana")]
    Revoke {
        /// The token's name
        name: String,
    },
}
