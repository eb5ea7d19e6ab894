//! The command line of what people do: with incidents, with owners, with silences and maintenance.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum IncidentCommand {
    /// List the incidents: what is bad where, at which local hours, since when, and why
    #[command(after_help = "\
Severity is the share of bad windows in the worst hour of its bad days; sure says how well the place
is known. The sentence is cut to the terminal; csv and json have all of it.

Examples:
  busyhour incident ls
  busyhour incident ls --all-kinds
  busyhour incident ls --closed -o csv > incidents.csv")]
    Ls {
        /// Closed ones as well
        #[arg(long)]
        closed: bool,
        /// Also what nobody is told of: one-off incidents, routes that moved, targets at fault, early
        /// warnings, drift
        #[arg(long)]
        all_kinds: bool,
        /// Also those that somebody made part of another
        #[arg(long)]
        parts: bool,
    },
    /// Show one incident: the sentence, whose it is, what to do, the figures, what speaks for and
    /// against causes, the paths, what people did
    #[command(after_help = "\
Examples:
  busyhour incident show 12
  busyhour incident show 12 -o json")]
    Show(Named),
    /// List what people did with one incident, oldest first
    #[command(after_help = "\
Example:
  busyhour incident acts 12 -o csv")]
    Acts(Named),
    /// Say something about an incident
    #[command(after_help = "\
Example:
  busyhour incident note 12 \"the lift's motor was exchanged on Tuesday\"")]
    Note {
        #[command(flatten)]
        incident: Named,
        /// What: one paragraph of at most 1000 characters
        text: String,
    },
    /// Acknowledge an incident: you have seen it, and say what becomes of it
    #[command(after_help = "\
It is not escalated then. It ends when the incident closes; one that comes back is not acknowledged.

Example:
  busyhour incident ack 12 --reason \"ticket 4711 with the provider\"")]
    Ack {
        #[command(flatten)]
        incident: Named,
        /// What becomes of it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Take the acknowledgement back
    #[command(after_help = "\
Example:
  busyhour incident unack 12")]
    Unack(Named),
    /// Say who must act on an incident; goes before the table of `busyhour owner`
    #[command(after_help = "\
Examples:
  busyhour incident own 12 \"WAN team\" --contact wan@example.com
  busyhour incident own 12 --by-table")]
    Own {
        #[command(flatten)]
        incident: Named,
        /// The team or the person
        #[arg(value_name = "NAME", required_unless_present = "by_table")]
        name: Option<String>,
        /// How to reach them
        #[arg(long, value_name = "TEXT", requires = "name", conflicts_with = "by_table")]
        contact: Option<String>,
        /// Leave it to the table of owners again
        #[arg(long, conflicts_with = "name")]
        by_table: bool,
    },
    /// Say that an incident is part of another: it is told and shown with that
    #[command(after_help = "\
Example:
  busyhour incident merge 13 --into 12 --reason \"the same uplink\"")]
    Merge {
        #[command(flatten)]
        incident: Named,
        /// The other's number or id
        #[arg(long, value_name = "NUMBER")]
        into: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Take a merge by hand back
    #[command(after_help = "\
Example:
  busyhour incident split 13")]
    Split(Named),
}

/// An incident.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Its number, as `incident ls` prints it, or its id
    #[arg(value_name = "NUMBER")]
    pub(crate) incident: String,
}

/// What a row of the table of owners is for.
#[derive(Debug, Args)]
pub(crate) struct OwnedArgs {
    /// The likely cause, as `incident ls` prints it; all without
    #[arg(long, value_name = "CAUSE")]
    pub(crate) cause: Option<String>,
    /// The region, as the building file spells it; all without
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OwnerCommand {
    /// List who answers for which cause in which region
    #[command(after_help = "\
The most particular row counts: cause and region, then cause, then region, then neither.

Example:
  busyhour owner ls")]
    Ls,
    /// Show what a team or a person answers for
    #[command(after_help = "\
Examples:
  busyhour owner show NOC
  busyhour owner show \"Wi-Fi team\" -o yaml")]
    Show {
        /// The team or the person, as `owner ls` prints it
        name: String,
    },
    /// Say who answers for a cause, in a region or in all
    #[command(after_help = "\
Examples:
  busyhour owner set NOC --contact noc@example.com
  busyhour owner set \"Wi-Fi team\" --cause wifi
  busyhour owner set \"WAN EMEA\" --cause bandwidth --region EMEA --contact \"+49 40 1234\"")]
    Set {
        /// The team or the person
        name: String,
        /// How to reach them
        #[arg(long, value_name = "TEXT")]
        contact: Option<String>,
        #[command(flatten)]
        of: OwnedArgs,
    },
    /// Take a row out of the table
    #[command(after_help = "\
Example:
  busyhour owner rm --cause bandwidth --region EMEA")]
    Rm {
        #[command(flatten)]
        of: OwnedArgs,
    },
}

/// Places, from when until when, and why.
#[derive(Debug, Args)]
pub(crate) struct PlaceArgs {
    /// Everything
    #[arg(long)]
    pub(crate) everything: bool,
    /// A region, as the building file spells it; may be repeated, as all of these
    #[arg(long = "region", value_name = "REGION")]
    pub(crate) regions: Vec<String>,
    /// A building, by its name or id
    #[arg(long = "building", value_name = "BUILDING")]
    pub(crate) buildings: Vec<String>,
    /// A subnet, by its prefix or id
    #[arg(long = "subnet", value_name = "PREFIX")]
    pub(crate) subnets: Vec<String>,
    /// From this moment on; now without
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Until this moment: 2h or 3d after the begin, or as --from
    #[arg(long, value_name = "TIME")]
    pub(crate) until: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SilenceCommand {
    /// List the silences
    #[command(after_help = "\
Examples:
  busyhour silence ls
  busyhour silence ls --over -o csv")]
    Ls {
        /// Also those that are over
        #[arg(long)]
        over: bool,
    },
    /// Show one silence, over or not
    #[command(after_help = "\
Examples:
  busyhour silence show 3
  busyhour silence show 3 -o yaml")]
    Show {
        /// Its number, as `silence ls` prints it
        number: u64,
    },
    /// Tell nobody for a while; what is still open at the end is told then
    #[command(after_help = "\
An incident is silent when all that suffers from it is covered.

Examples:
  busyhour silence add --incident 12 --until 2d --reason \"the line is being replaced\"
  busyhour silence add --building \"Berlin HQ\" --until 2026-12-01T20:00[Europe/Berlin] --reason move
  busyhour silence add --cause wifi --from 2026-12-01T19:00:00Z --until 4h --reason \"new firmware\"")]
    Add {
        #[command(flatten)]
        places: PlaceArgs,
        /// An incident, by its number or id
        #[arg(long = "incident", value_name = "NUMBER")]
        incidents: Vec<String>,
        /// Incidents of a likely cause
        #[arg(long = "cause", value_name = "CAUSE")]
        causes: Vec<String>,
    },
    /// End a silence now
    #[command(after_help = "\
Example:
  busyhour silence end 3")]
    End {
        /// Its number, as `silence ls` prints it
        number: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MaintenanceCommand {
    /// List maintenance that is planned or under way
    #[command(after_help = "\
Examples:
  busyhour maintenance ls
  busyhour maintenance ls --over -o csv")]
    Ls {
        /// Also what is over
        #[arg(long)]
        over: bool,
    },
    /// Show one time of maintenance, over or not
    #[command(after_help = "\
Examples:
  busyhour maintenance show 4
  busyhour maintenance show 4 -o yaml")]
    Show {
        /// Its number, as `maintenance ls` prints it
        number: u64,
    },
    /// Plan maintenance: it is measured all the same; at the end only what got worse is told
    #[command(after_help = "\
Examples:
  busyhour maintenance add --building \"Berlin HQ\" --from 2026-12-01T20:00[Europe/Berlin] --until 4h \\
      --reason \"new switches\"
  busyhour maintenance add --region EMEA --until 90m --reason \"the provider works on the uplink\"")]
    Add {
        #[command(flatten)]
        places: PlaceArgs,
    },
    /// End maintenance now
    #[command(after_help = "\
Example:
  busyhour maintenance end 4")]
    End {
        /// Its number, as `maintenance ls` prints it
        number: u64,
    },
}
