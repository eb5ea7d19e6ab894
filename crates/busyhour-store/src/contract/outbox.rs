//! The outbox: what is to be told, on which channels, and what became of it.
//!
//! Events are written where something happens, in the transaction that makes it true. Whoever tells asks for
//! what is [untold](Outbox::untold), decides and [places](Outbox::place) it, and then works on what is
//! [due](Outbox::due_deliveries).

use busyhour_model::{Incident, UtcMicros};

use crate::{Act, IncidentEvent, StoreError};

/// Why something is sent on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// To tell it by itself.
    Tell,
    /// To tell it together with whatever else there is then.
    Digest,
    /// To tell somebody else, because nobody said that it is seen.
    Escalate,
}

impl Purpose {
    /// The word used in SQL and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tell => "tell",
            Self::Digest => "digest",
            Self::Escalate => "escalate",
        }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Happened {
    /// Something with an incident.
    Incident {
        /// What.
        event: IncidentEvent,
        /// In which of its openings.
        openings: u32,
        /// The incident as it is now.
        incident: Box<Incident>,
        /// Where its opening, or that it got worse, was told, or will be by itself or in a digest.
        told_on: Vec<(String, Purpose)>,
        /// Whether its opening still waits to be placed.
        opening_waits: bool,
    },
    /// Somebody wants to see that a channel works.
    Test {
        /// The channel.
        channel: String,
    },
    /// A channel has been failing for a while, or refuses for good.
    ChannelFailed {
        /// The channel.
        channel: String,
        /// What went wrong last, without secrets.
        error: String,
    },
    /// A channel that was told to fail works again.
    ChannelWorks {
        /// The channel.
        channel: String,
    },
    /// A channel did not take a message for good, or not for everybody that it is for.
    MessageRefused {
        /// The channel.
        channel: String,
    },
    /// A message for a channel could not be put into words for a while.
    NotMade {
        /// The channel.
        channel: String,
    },
    /// It is time for a report.
    Report {
        /// Which, and of when, as whoever asked for it wrote it.
        name: String,
    },
}

/// An event that is on no channel yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Untold {
    /// Its number.
    pub event: i64,
    /// When it was written.
    pub created: UtcMicros,
    /// What happened.
    pub happened: Happened,
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// On which channel.
    pub channel: String,
    /// What for.
    pub purpose: Purpose,
    /// When.
    pub due: UtcMicros,
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is told.
    On {
        /// Where and when.
        deliveries: Vec<NewDelivery>,
        /// What machines tell it from others by, kept as it is now.
        labels: String,
    },
    /// It waits; to be looked at again then.
    Later(UtcMicros),
    /// It is told to nobody; why, in words.
    Nobody(String),
}

/// What a delivery is about.
#[derive(Debug, Clone, PartialEq)]
pub enum About {
    /// An incident.
    Incident(Box<IncidentNews>),
    /// A test of the channel.
    Test,
    /// Another channel that fails.
    ChannelFailed {
        /// Which.
        channel: String,
        /// What went wrong last, without secrets.
        error: String,
    },
    /// Another channel that works again.
    ChannelWorks {
        /// Which.
        channel: String,
    },
    /// A message that another channel did not take for good, or not for everybody that it is for.
    MessageRefused {
        /// Which channel.
        channel: String,
        /// What it said, without secrets.
        error: String,
        /// What the message was about, in words.
        what: String,
    },
    /// A message for this channel that could not be put into words for a while.
    NotMade {
        /// Why, without secrets.
        error: String,
        /// What the message was about, in words.
        what: String,
    },
    /// A report.
    Report {
        /// Which, and of when.
        name: String,
    },
}

/// What happened with an incident, and what people call its places.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentNews {
    /// What happened.
    pub event: IncidentEvent,
    /// In which of its openings.
    pub openings: u32,
    /// The incident as it is now.
    pub incident: Incident,
    /// The name of the building it is shown with.
    pub building: String,
    /// The names of the buildings that suffer, in order; also of those that left the building file.
    pub buildings: Vec<String>,
    /// The subnet's network name and prefix, where its place is a subnet.
    pub subnet: Option<String>,
    /// The agent's name, where its place is an agent.
    pub agent: Option<String>,
    /// What machines tell it from others by, as it was when its opening was first placed somewhere.
    pub labels: Option<String>,
    /// Of an end: what became of the opening, or of its getting worse, on this channel.
    pub opening: OpeningTold,
}

/// What became of the news of an opening on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpeningTold {
    /// The channel took it.
    Taken,
    /// It is still to be sent there.
    Waits,
    /// It was never sent there.
    Never,
}

/// A message due on a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// The channel's name.
    pub channel: String,
    /// What for.
    pub purpose: Purpose,
    /// The number of the delivery that it is one message with, where it is one with others.
    pub bundle: Option<i64>,
    /// What it is about.
    pub about: About,
    /// When the event was written.
    pub created: UtcMicros,
    /// When it was to be sent first: what it was held back for comes before.
    pub placed: UtcMicros,
    /// Earlier attempts.
    pub attempts: u32,
    /// Those whom it is still to reach, when others have it already.
    pub left_for: Vec<String>,
}

/// What became of an attempt to deliver. However it ends: what somebody got in an earlier attempt counts as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The other side took it.
    Sent,
    /// It did not; try again at the time given.
    Retry {
        /// When.
        at: UtcMicros,
        /// What went wrong, without secrets.
        error: String,
        /// The other side would say the same to every attempt.
        for_good: bool,
    },
    /// It took it for some of those it is for; the others are tried again at the time given.
    Partly {
        /// When.
        at: UtcMicros,
        /// What went wrong, without secrets.
        error: String,
        /// Those others.
        left: Vec<String>,
    },
    /// It was for those alone whom it was left for, and none of them got it: tried again at the time given. That
    /// says nothing of the channel.
    StillLeft {
        /// When.
        at: UtcMicros,
        /// What went wrong, without secrets.
        error: String,
    },
    /// It took it, and never will for some of those it is for. Others are told so.
    SentBut {
        /// Whom it refused and why, without secrets.
        error: String,
    },
    /// It will never take this message, whatever becomes of the channel. Others are told so.
    Refused {
        /// What it said, without secrets.
        error: String,
    },
    /// It was tried for too long. Others are told so, unless they know that the channel fails.
    GivenUp {
        /// For how long, and for whom.
        error: String,
    },
    /// Nothing was sent, as it cannot be put into words, and that for a while: tried again at the time given. The
    /// channel is told so, once.
    NotMade {
        /// When.
        at: UtcMicros,
        /// Why, without secrets.
        error: String,
    },
    /// Nothing was sent, as the channel has to be left alone; to be sent then.
    Later(UtcMicros),
    /// Nothing was sent, as nobody is to be told yet; it is to be looked at again then. How long it waits for its
    /// channel is reckoned from there.
    Held(UtcMicros),
    /// Never to be sent: simulated, over, or given up. Shown with the reason.
    Withheld {
        /// Why.
        reason: String,
    },
}

/// Deliveries by state, for the status page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliveryTotals {
    /// Waiting.
    pub pending: u64,
    /// Taken by the other side.
    pub sent: u64,
    /// Withheld or given up.
    pub withheld: u64,
}

/// A channel of the collector's configuration, and how it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRow {
    /// Its name.
    pub name: String,
    /// What kind of channel it is.
    pub kind: String,
    /// Messages that wait on it.
    pub waiting: u64,
    /// When it last took one.
    pub taken: Option<UtcMicros>,
    /// Since when it takes none.
    pub failing_since: Option<UtcMicros>,
    /// What went wrong last, without secrets; also where it was for some of those only whom a message is for, and
    /// the channel works.
    pub error: Option<String>,
}

/// How a test of a channel went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelTest {
    /// It is still to be sent.
    Waits,
    /// The other side took it.
    Taken,
    /// It did not; why, in words.
    Refused(String),
}

/// What is to be told, and what became of it.
pub trait Outbox: Send + Sync {
    /// Notes which channels there are, by name and kind. What is known of others is forgotten. Events that wait are
    /// looked at again at once: whoever starts may have other channels and routes than before.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn register_channels(&self, channels: &[(String, String)]) -> Result<(), StoreError>;

    /// The channels there are, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn channels(&self) -> Result<Vec<ChannelRow>, StoreError>;

    /// Events to be placed now, oldest first. What got worse during maintenance that is over becomes one.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn untold(&self, now: UtcMicros, limit: usize) -> Result<Vec<Untold>, StoreError>;

    /// Writes down what becomes of events. Of what was placed already nothing changes.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn place(&self, fates: &[(i64, Fate)]) -> Result<(), StoreError>;

    /// What is due on channels other than `but`, oldest first; of more than about `limit` each channel has an equal
    /// share.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn due_deliveries(
        &self,
        now: UtcMicros,
        limit: usize,
        but: &[String],
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Makes deliveries on one channel one message, named by the first. Of those in a message already nothing
    /// changes.
    ///
    /// # Errors
    /// When the transaction could not be made durable; then nothing changed.
    fn bundle(&self, deliveries: &[i64]) -> Result<(), StoreError>;

    /// What a channel took of incidents that are still open, in that opening: of each the last delivery that told
    /// of it, oldest first. `attempts` is of no meaning.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn standing_deliveries(&self, channel: &str, limit: usize)
    -> Result<Vec<Delivery>, StoreError>;

    /// Notes what became of an attempt at one message, and by that how its channel goes: a channel that fails
    /// for an hour, or refuses for good, is an event, once, and so is that it works again.
    ///
    /// # Errors
    /// When the store cannot be written; then nothing changed.
    fn delivered(
        &self,
        deliveries: &[i64],
        outcome: &DeliveryOutcome,
        now: UtcMicros,
    ) -> Result<(), StoreError>;

    /// Notes how a channel goes where no delivery is concerned: that it took what it was told, or what went wrong.
    ///
    /// # Errors
    /// When the store cannot be written; then nothing changed.
    fn channel_went(
        &self,
        channel: &str,
        went: Result<(), &str>,
        now: UtcMicros,
    ) -> Result<(), StoreError>;

    /// Asks for a test of a channel, and gives the event's number; `None` when there is no such channel.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn test_channel(&self, channel: &str, by: &Act) -> Result<Option<i64>, StoreError>;

    /// How a test went; `None` when there is none of that number (any more).
    ///
    /// # Errors
    /// When the store cannot be read.
    fn channel_test(&self, event: i64) -> Result<Option<ChannelTest>, StoreError>;

    /// Asks for a report, once for each name; true when nobody had.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn ask_report(&self, name: &str, now: UtcMicros) -> Result<bool, StoreError>;
}
