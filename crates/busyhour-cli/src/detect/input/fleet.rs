//! What is judged: `series.csv`, or what the names of series tell without it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use anyhow::bail;
use busyhour_detect::{
    AgentNo, Bin, BuildingNo, Fleet, Reach, SeriesInfo, SeriesNo, SubnetNo, TargetNo, UpstreamNo,
};
use busyhour_model::{LinkKind, RequirementProfile};
use indicatif::ProgressBar;

use super::buildings::{Buildings, Fallback, some};
use super::columns::Column;
use super::notes::Notes;
use super::table::{Fault, Table};
use super::value;

/// Ten times the largest fleet that one machine judges; more means that the column is no series.
const MAX_SERIES: usize = 200_000;
/// So many unknown words are remembered.
const MAX_STRANGE: usize = 20;
/// The building of series that nothing tells the building of.
const WITHOUT_NAME: &str = "unnamed building";

const SERIES: usize = 0;
const SUBNET: usize = 1;
const LINK: usize = 2;
const UPSTREAM: usize = 3;
const NEAR: usize = 4;
const AGENT: usize = 5;
const TARGET: usize = 6;
const BUILDING: usize = 7;

const COLUMNS: &[Column] = &[
    Column::required("series", &["path", "series_id", "series_name", "id", "name"]),
    Column::optional("subnet", &["prefix", "network", "network_ip", "subnet_prefix"]),
    Column::optional("link", &["link_type", "link_kind", "medium"]),
    Column::optional("upstream", &["provider", "isp", "egress"]),
    Column::optional("near", &["near_series", "is_near", "edge"]),
    Column::optional("agent", &["agent_name", "probe", "host", "device"]),
    Column::optional("target", &["destination", "dst"]),
    Column::optional("building", &["building_name", "site"]),
];

/// Names that have numbers.
#[derive(Debug, Default)]
struct Names {
    numbers: HashMap<String, u32>,
}

impl Names {
    /// The number of a name, and whether it is new.
    fn number(&mut self, name: &str, list: &mut Vec<String>, shown: &str) -> u32 {
        if let Some(&known) = self.numbers.get(name) {
            return known;
        }
        let number = u32::try_from(list.len()).unwrap_or(u32::MAX);
        self.numbers.insert(name.to_owned(), number);
        list.push(shown.to_owned());
        number
    }
}

/// A fleet while it is read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    buildings: Buildings,
    fleet: Fleet,
    series: HashMap<String, u32>,
    subnets: Names,
    agents: Names,
    upstreams: Names,
    targets: Names,
    /// What the column `near` says of a series.
    near: Vec<(u32, String)>,
    /// Series that have no building.
    homeless: HashSet<String>,
    /// A file told them.
    series_are_told: bool,
    /// Kinds of link that nobody knows.
    strange_links: BTreeSet<String>,
    /// Series that are in the data alone.
    unlisted: u64,
    last: (String, Option<u32>),
}

impl Draft {
    /// A fleet without series as yet.
    pub(super) fn new(buildings: Buildings) -> Self {
        Self { buildings, ..Self::default() }
    }

    /// Reads `series.csv`.
    ///
    /// # Errors
    /// When it cannot be read as such a file.
    pub(super) fn read_series(
        &mut self,
        path: &Path,
        bar: &ProgressBar,
        notes: &mut Notes,
    ) -> anyhow::Result<()> {
        self.series_are_told = true;
        let Some(mut table) = Table::open(path, COLUMNS, bar, notes)? else { return Ok(()) };
        while table.next(notes)? {
            if let Err(fault) = self.add_row(&table) {
                table.refuse(&fault, notes)?;
            }
            self.check_bound(path)?;
        }
        table.finish(notes)?;
        let name = table.name();
        if !self.strange_links.is_empty() {
            let links: Vec<String> = self.strange_links.iter().cloned().collect();
            notes.warn(&format!(
                "{name}: link {} is not wired, wifi, vpn or mobile and counts as wired",
                some(&links)
            ));
        }
        for (column, loss) in [
            (LINK, "every series counts as wired, and none as Wi-Fi or VPN"),
            (UPSTREAM, "nothing is placed beyond a building"),
            (AGENT, "each series counts as an agent of its own"),
        ] {
            if !table.has(column) {
                notes.add(&format!("{name} has no column {}: {loss}", COLUMNS[column].name));
            }
        }
        Ok(())
    }

    fn add_row(&mut self, table: &Table) -> Result<(), Fault> {
        let name = table.text(SERIES);
        if name.is_empty() {
            return Err(table.fault(SERIES, "a name", "fill in the column"));
        }
        if self.series.contains_key(name) {
            return Err(table.fault(SERIES, "new: it was told before", "tell each series once"));
        }
        let (link, subnet) = (table.text(LINK), table.text(SUBNET));
        let known_link = value::link(link);
        if known_link.is_none() && !value::is_blank(link) && self.strange_links.len() < MAX_STRANGE
        {
            self.strange_links.insert(link.to_owned());
        }
        let told = table.text(BUILDING);
        let told = match (value::is_blank(told), self.buildings.are_told()) {
            (true, _) => None,
            (false, true) => Some(self.buildings.find(told).ok_or_else(|| {
                table.fault(BUILDING, "in buildings.csv", "write its name as it is there")
            })?),
            (false, false) => Some(self.buildings.named(told)),
        };
        let hint = told.or_else(|| self.buildings.find(name.split_once('/')?.0));
        let network = self.buildings.network(subnet, hint);
        let network = network.or_else(|| self.buildings.network(subnet, told));
        let (building, label, is_vpn) = match network {
            Some(network) => (Some(network.building), network.label.clone(), network.is_vpn),
            None => (told.or_else(|| self.home_of(name)), subnet.to_owned(), false),
        };
        let Some(building) = building else {
            self.homeless.insert(name.to_owned());
            return Ok(());
        };
        let label = if label.is_empty() { name.to_owned() } else { label };
        let link = known_link.unwrap_or(if is_vpn { LinkKind::Vpn } else { LinkKind::Wired });
        let number = self.add(name, building, &label, link);
        self.describe(number, table);
        Ok(())
    }

    /// Adds what the other columns say.
    fn describe(&mut self, number: u32, table: &Table) {
        let Some(series) = self.fleet.series.get_mut(number as usize) else { return };
        let (upstream, agent, target) =
            (table.text(UPSTREAM), table.text(AGENT), table.text(TARGET));
        if !value::is_blank(upstream) {
            let known = self.upstreams.number(upstream, &mut self.fleet.upstreams, upstream);
            series.upstream = Some(UpstreamNo(known));
        }
        if !value::is_blank(target) {
            let known = self.targets.number(target, &mut self.fleet.targets, target);
            series.target = Some(TargetNo(known));
        }
        if !value::is_blank(agent) {
            // Agents of one name in two buildings are two.
            let key = format!("{}/{agent}", series.building.0);
            series.agent = AgentNo(self.agents.number(&key, &mut self.fleet.agents, agent));
        }
        match value::flag(table.text(NEAR)) {
            Some(true) => series.reach = Reach::Near,
            Some(false) => {}
            None => self.near.push((number, table.text(NEAR).to_owned())),
        }
    }

    /// Adds a series that is its own agent for now.
    fn add(&mut self, name: &str, building: u32, subnet: &str, link: LinkKind) -> u32 {
        let number = u32::try_from(self.fleet.series.len()).unwrap_or(u32::MAX);
        let key = format!("{building}/{subnet}");
        let subnet = SubnetNo(self.subnets.number(&key, &mut self.fleet.subnets, subnet));
        self.fleet.series.push(SeriesInfo {
            name: name.to_owned(),
            building: BuildingNo(building),
            subnet,
            agent: AgentNo(u32::MAX),
            link,
            target: None,
            upstream: None,
            reach: Reach::Far,
            requirement: RequirementProfile::ClientToMicrosoftEdge,
            near: None,
            simulated: false,
        });
        self.series.insert(name.to_owned(), number);
        number
    }

    /// The number of a series in the data; `None` when its building is not known. A series that
    /// `series.csv` does not tell is told by its name (`building/subnet/...`).
    ///
    /// # Errors
    /// When there are far too many series.
    pub(super) fn series(&mut self, name: &str) -> anyhow::Result<Option<u32>> {
        // Rows of one series stand together as often as not.
        if self.last.0 == name {
            return Ok(self.last.1);
        }
        let number = match self.series.get(name) {
            Some(&known) => Some(known),
            None if self.homeless.contains(name) => None,
            None => self.settle_by_name(name)?,
        };
        name.clone_into(&mut self.last.0);
        self.last.1 = number;
        Ok(number)
    }

    fn settle_by_name(&mut self, name: &str) -> anyhow::Result<Option<u32>> {
        let Some(building) = self.home_of(name) else {
            self.homeless.insert(name.to_owned());
            self.check_bound(Path::new("the data"))?;
            return Ok(None);
        };
        self.unlisted += 1;
        let parts: Vec<&str> = name.split('/').collect();
        let subnet = if let [_, subnet, _, ..] = parts[..] { subnet } else { name };
        let link = parts.iter().skip(1).find_map(|part| value::link(part));
        let number = self.add(name, building, subnet, link.unwrap_or(LinkKind::Wired));
        self.check_bound(Path::new("the data"))?;
        Ok(Some(number))
    }

    /// The building that a series' name begins with, or the only one there is.
    fn home_of(&mut self, name: &str) -> Option<u32> {
        let prefix = name.split_once('/').map(|(building, _)| building.trim());
        match (prefix, self.buildings.are_told()) {
            (Some(prefix), true) => self.buildings.find(prefix).or_else(|| self.buildings.only()),
            (None, true) => self.buildings.only(),
            (Some(prefix), false) if !prefix.is_empty() => Some(self.buildings.named(prefix)),
            (_, false) => Some(self.buildings.named(WITHOUT_NAME)),
        }
    }

    /// The building of that name, as the load names it.
    pub(super) fn building(&self, name: &str) -> Option<u32> {
        self.buildings.find(name)
    }

    fn check_bound(&self, path: &Path) -> anyhow::Result<()> {
        if self.series.len() + self.homeless.len() > MAX_SERIES {
            bail!(
                "{}: more than {MAX_SERIES} series; is the column of series the right one?",
                path.display()
            );
        }
        Ok(())
    }

    /// Ends the reading: the fleet as it is judged.
    ///
    /// # Errors
    /// When zone or hours of a building are not known.
    pub(super) fn into_fleet(
        mut self,
        bin: Bin,
        fallback: &Fallback,
        notes: &mut Notes,
    ) -> anyhow::Result<Fleet> {
        self.own_agents();
        self.name_near(notes);
        self.find_near();
        if !self.homeless.is_empty() {
            let mut names: Vec<String> = self.homeless.iter().cloned().collect();
            names.sort_unstable();
            notes.warn(&format!(
                "the building is not known of the series {}: they are left out; name their subnet in \
                 series.csv as buildings.csv does, or begin their names with the building and a slash",
                some(&names)
            ));
        }
        if self.series_are_told && self.unlisted > 0 {
            let count = self.unlisted;
            notes
                .add(&format!("{count} series are not in series.csv: each is an agent of its own"));
        }
        let used: HashSet<u32> = self.fleet.series.iter().map(|series| series.building.0).collect();
        let sites = self.buildings.into_sites(&|number| used.contains(&number), fallback, notes)?;
        Ok(Fleet { buildings: sites, bin, ..self.fleet })
    }

    /// A series whose agent nobody told is one.
    fn own_agents(&mut self) {
        for series in &mut self.fleet.series {
            if series.agent == AgentNo(u32::MAX) {
                let key = format!("//{}", series.name);
                let number = self.agents.number(&key, &mut self.fleet.agents, &series.name);
                series.agent = AgentNo(number);
            }
        }
    }

    /// Series that others name as theirs to the edge are near ones.
    fn name_near(&mut self, notes: &mut Notes) {
        let mut unknown = Vec::new();
        for (number, name) in std::mem::take(&mut self.near) {
            match self.series.get(&name) {
                // A near series may name itself.
                Some(&near) => {
                    if let Some(series) = self.fleet.series.get_mut(near as usize) {
                        series.reach = Reach::Near;
                    }
                    if let Some(series) = self.fleet.series.get_mut(number as usize)
                        && near != number
                    {
                        series.near = Some(SeriesNo(near));
                    }
                }
                None => unknown.push(name),
            }
        }
        if !unknown.is_empty() {
            let names = some(&unknown);
            notes.warn(&format!("series.csv names near series that there are not: {names}"));
        }
    }

    /// A series without a named near series takes the one of its agent; else the only one of its subnet
    /// and link; else the only one of its building.
    fn find_near(&mut self) {
        let mut near: HashMap<Beside, Option<SeriesNo>> = HashMap::new();
        for (number, series) in (0..).zip(&self.fleet.series) {
            if series.reach == Reach::Near {
                for key in Beside::of(series) {
                    // Two of a kind are no answer.
                    near.entry(key)
                        .and_modify(|only| *only = None)
                        .or_insert(Some(SeriesNo(number)));
                }
            }
        }
        for series in &mut self.fleet.series {
            if series.reach == Reach::Far && series.near.is_none() {
                let mut keys = Beside::of(series).into_iter();
                series.near = keys.find_map(|key| near.get(&key).copied().flatten());
            }
        }
    }
}

/// What a near series stands beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Beside {
    Agent(AgentNo),
    Subnet(SubnetNo, LinkKind),
    Building(BuildingNo),
}

impl Beside {
    fn of(series: &SeriesInfo) -> [Self; 3] {
        [
            Self::Agent(series.agent),
            Self::Subnet(series.subnet, series.link),
            Self::Building(series.building),
        ]
    }
}
