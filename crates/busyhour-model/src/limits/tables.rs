//! The published tables as data: which requirement profiles there are, and each one's limits.

use jiff::civil::{Date, date};

use super::{LimitTable, LimitsVersion};
use crate::{InvalidPath, UtcMicros};

/// Where a table was published, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSource {
    /// The document.
    pub document: &'static str,
    /// The date of the edition that was read.
    pub published: Date,
}

/// Both segments to the Microsoft edge.
const EDGE: LimitSource = LimitSource {
    document: "Microsoft, Prepare your organization's network for Teams (prepare-network.md)",
    published: date(2019, 3, 1),
};
/// Round-trip times to Azure regions. It says that one-way limits are half of them, and that those
/// for loss and jitter are the same as to the Microsoft edge. Of order it says nothing.
const AZURE: LimitSource = LimitSource {
    document: "Microsoft, Media Quality and Network Connectivity Performance, \
               section Measuring Network Performance using Azure VMs",
    published: date(2018, 1, 22),
};

/// Its only edition so far holds for all time before it as well.
const CLIENT_TO_EDGE: LimitTable = LimitTable {
    version: LimitsVersion(1),
    in_force_from: UtcMicros(i64::MIN),
    requirement: RequirementProfile::ClientToMicrosoftEdge,
    loss_ppm: 10_000,
    burst_ppm: 100_000,
    rtt_us: 100_000,
    one_way_us: 50_000,
    jitter_us: 30_000,
    reorder_ppm: Some(500),
    source: EDGE,
};

const SITE_EDGE_TO_EDGE: LimitTable = LimitTable {
    requirement: RequirementProfile::SiteEdgeToMicrosoftEdge,
    loss_ppm: 1_000,
    burst_ppm: 10_000,
    rtt_us: 60_000,
    one_way_us: 30_000,
    jitter_us: 15_000,
    reorder_ppm: Some(100),
    ..CLIENT_TO_EDGE
};

const fn client_to_azure(region: AzureRegion, rtt_ms: u32) -> LimitTable {
    LimitTable {
        requirement: RequirementProfile::ClientToAzure(region),
        rtt_us: rtt_ms * 1_000,
        one_way_us: rtt_ms * 500,
        reorder_ppm: None,
        source: AZURE,
        ..CLIENT_TO_EDGE
    }
}

const fn site_edge_to_azure(region: AzureRegion, rtt_ms: u32) -> LimitTable {
    LimitTable {
        requirement: RequirementProfile::SiteEdgeToAzure(region),
        rtt_us: rtt_ms * 1_000,
        one_way_us: rtt_ms * 500,
        reorder_ppm: None,
        source: AZURE,
        ..SITE_EDGE_TO_EDGE
    }
}

macro_rules! azure_regions {
    ($($region:ident = $word:literal, $title:literal, $site_edge_ms:literal / $client_ms:literal;)+) => {
        /// An Azure region that a reflector may stand in, named by where its customers are.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AzureRegion {
            $(#[doc = $title] $region,)+
        }

        impl AzureRegion {
            /// Every region, in the order of the published table.
            pub const ALL: &'static [Self] = &[$(Self::$region),+];

            const fn client_word(self) -> &'static str {
                match self {
                    $(Self::$region => concat!("client-to-azure-", $word),)+
                }
            }

            const fn site_edge_word(self) -> &'static str {
                match self {
                    $(Self::$region => concat!("site-edge-to-azure-", $word),)+
                }
            }
        }

        impl RequirementProfile {
            /// Every profile.
            pub const ALL: &'static [Self] = &[
                Self::ClientToMicrosoftEdge,
                Self::SiteEdgeToMicrosoftEdge,
                Self::None,
                $(
                    Self::ClientToAzure(AzureRegion::$region),
                    Self::SiteEdgeToAzure(AzureRegion::$region),
                )+
            ];
        }

        /// Microsoft's requirements, every edition, as applied here: round-trip time to the window's
        /// median, one-way delay to the medians where both clocks are synchronised, jitter to the
        /// mean RFC 3550 estimate of the worse direction, burst with at least two packets lost,
        /// order to an hour.
        pub const LIMITS: &[LimitTable] = &[
            CLIENT_TO_EDGE,
            SITE_EDGE_TO_EDGE,
            $(
                client_to_azure(AzureRegion::$region, $client_ms),
                site_edge_to_azure(AzureRegion::$region, $site_edge_ms),
            )+
        ];
    };
}

// Round-trip times in milliseconds: from the site's edge / from the client.
azure_regions! {
    CentralUs = "central-us", "Central US", 99 / 139;
    EastUs = "east-us", "East US", 86 / 126;
    NorthCentralUs = "north-central-us", "North Central US", 97 / 137;
    SouthCentralUs = "south-central-us", "South Central US", 94 / 134;
    WestUs = "west-us", "West US", 94 / 134;
    WestUsFromHawaii = "west-us-from-hawaii", "West US, for customers in Hawaii", 116 / 156;
    CanadaCentral = "canada-central", "Canada Central", 138 / 178;
    CanadaEast = "canada-east", "Canada East", 131 / 171;
    NorthEurope = "north-europe", "North Europe", 99 / 139;
    WestEurope = "west-europe", "West Europe", 95 / 135;
    EastAsia = "east-asia", "East Asia", 118 / 158;
    SoutheastAsia = "southeast-asia", "Southeast Asia", 97 / 137;
    JapanEast = "japan-east", "Japan East", 111 / 151;
    JapanWest = "japan-west", "Japan West", 118 / 158;
    BrazilSouth = "brazil-south", "Brazil South", 70 / 110;
    AustraliaEast = "australia-east", "Australia East", 124 / 164;
    AustraliaSoutheast = "australia-southeast", "Australia Southeast", 124 / 164;
    CentralIndia = "central-india", "Central India", 103 / 143;
    SouthIndia = "south-india", "South India", 103 / 143;
    WestIndia = "west-india", "West India", 103 / 143;
    ChinaEast = "china-east", "China East", 120 / 160;
    ChinaNorth = "china-north", "China North", 120 / 160;
}

/// What a target's path is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequirementProfile {
    /// Client to Microsoft edge.
    ClientToMicrosoftEdge,
    /// Site edge to Microsoft edge.
    SiteEdgeToMicrosoftEdge,
    /// Figures without a verdict.
    None,
    /// Client to a reflector in an Azure region.
    ClientToAzure(AzureRegion),
    /// Site edge to a reflector in an Azure region.
    SiteEdgeToAzure(AzureRegion),
}

impl RequirementProfile {
    /// The word used in configuration, JSON, SQL, the command line and the page.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientToMicrosoftEdge => "client-to-microsoft-edge",
            Self::SiteEdgeToMicrosoftEdge => "site-edge-to-microsoft-edge",
            Self::None => "none",
            Self::ClientToAzure(region) => region.client_word(),
            Self::SiteEdgeToAzure(region) => region.site_edge_word(),
        }
    }
}

impl std::fmt::Display for RequirementProfile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for RequirementProfile {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        let found = Self::ALL.iter().find(|profile| profile.as_str() == text);
        found
            .copied()
            .ok_or_else(|| InvalidPath { what: "requirement profile", found: text.to_owned() })
    }
}
