//! The command line of `busyhour profile`.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// Keep a collector under a name; an existing profile of that name is replaced
    #[command(after_help = "\
The first profile is in use at once. A token is kept in the file of profiles, which only you may
read, and is never printed. Without one the session of `busyhour login` is used.

Examples:
  busyhour profile add hq https://busyhour.example.org
  busyhour profile add lab https://lab.example.org:8443 --ca-file lab-ca.pem --token-file lab.token
  pass busyhour/lab | busyhour profile add lab https://lab.example.org --token-file - --use")]
    Add {
        /// The profile's name: letters, digits, dots, hyphens and underscores
        name: String,
        /// The collector's address
        url: String,
        /// A file whose first line is an API token, or - for standard input
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
        /// Use it from now on
        #[arg(long = "use")]
        is_used: bool,
    },
    /// List the profiles, and which is in use
    #[command(after_help = "\
Examples:
  busyhour profile ls
  busyhour profile ls -o json")]
    Ls,
    /// Use a profile from now on, or none
    #[command(after_help = "\
Examples:
  busyhour profile use hq
  busyhour profile use --none")]
    Use {
        /// The profile's name
        #[arg(required_unless_present = "none")]
        name: Option<String>,
        /// None: ask the collector on this machine unless told otherwise
        #[arg(long, conflicts_with = "name")]
        none: bool,
    },
    /// Forget a profile with its token
    #[command(after_help = "\
Example:
  busyhour profile rm lab")]
    Rm {
        /// The profile's name
        name: String,
    },
}
