//! `buildings.csv`: the building file's columns by their names, with zone, hours and holidays.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::path::Path;

use anyhow::bail;
use busyhour_detect::Site;
use busyhour_model::{BusinessHours, building_file};
use indicatif::ProgressBar;
use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::columns::Column;
use super::notes::Notes;
use super::table::{Fault, Table};
use super::value;

/// Far above any fleet; what is larger is another kind of file.
const MAX_NETWORKS: usize = 200_000;
/// So many names are told.
const SHOWN: usize = 5;

const NETWORK_IP: usize = 0;
const NETWORK_NAME: usize = 1;
const NETWORK_RANGE: usize = 2;
const BUILDING_NAME: usize = 3;
const CITY: usize = 7;
const REGION: usize = 11;
const VPN: usize = 14;
const TIME_ZONE: usize = 15;
const BUSINESS_HOURS: usize = 16;
const HOLIDAYS: usize = 17;

const COLUMNS: &[Column] = &[
    Column::optional("NetworkIP", &["network", "subnet", "prefix", "ip", "cidr"]),
    Column::optional("NetworkName", &[]),
    Column::optional("NetworkRange", &["range", "prefixlength", "length", "mask"]),
    Column::required("BuildingName", &["building", "site", "name"]),
    Column::optional("OwnershipType", &["ownership"]),
    Column::optional("BuildingType", &[]),
    Column::optional("BuildingOfficeType", &["officetype"]),
    Column::optional("City", &[]),
    Column::optional("ZipCode", &["zip"]),
    Column::optional("Country", &[]),
    Column::optional("State", &[]),
    Column::optional("Region", &[]),
    Column::optional("InsideCorp", &[]),
    Column::optional("ExpressRoute", &[]),
    Column::optional("VPN", &[]),
    Column::optional("TimeZone", &["zone", "tz", "iana", "timezone_name"]),
    Column::optional("BusinessHours", &["hours", "working_hours", "office_hours"]),
    Column::optional("Holidays", &["holiday", "public_holidays"]),
];

/// Zone and hours of buildings that nothing tells them of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fallback {
    /// The zone.
    pub(crate) zone: Option<TimeZone>,
    /// The business hours.
    pub(crate) hours: Option<BusinessHours>,
}

#[derive(Debug, Default)]
struct Building {
    name: String,
    zone: Option<TimeZone>,
    hours: Option<BusinessHours>,
    holidays: BTreeSet<Date>,
    /// City, zip code, country, state, region of its first row.
    address: [String; 5],
}

/// A network of a building.
#[derive(Debug)]
pub(super) struct Network {
    /// Its prefix as text, or its name where it has none.
    pub(super) label: String,
    /// The place of its building.
    pub(super) building: u32,
    /// Its clients come through a VPN.
    pub(super) is_vpn: bool,
}

/// Buildings and their networks.
#[derive(Debug, Default)]
pub(super) struct Buildings {
    buildings: Vec<Building>,
    by_name: HashMap<String, u32>,
    networks: Vec<Network>,
    /// By prefix, address and name, as they were written.
    by_label: HashMap<String, Vec<u32>>,
    by_prefix: HashMap<IpNet, Vec<u32>>,
    /// A file told them: no others are made up.
    are_told: bool,
}

impl Buildings {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read as such a file.
    pub(super) fn read(path: &Path, bar: &ProgressBar, notes: &mut Notes) -> anyhow::Result<Self> {
        let mut all = Self { are_told: true, ..Self::default() };
        let Some(mut table) = Table::open(path, COLUMNS, bar, notes)? else { return Ok(all) };
        while table.next(notes)? {
            if let Err(fault) = all.add_row(&table) {
                table.refuse(&fault, notes)?;
            }
            if all.networks.len() > MAX_NETWORKS {
                bail!("{}: more than {MAX_NETWORKS} networks", path.display());
            }
        }
        table.finish(notes)?;
        if all.buildings.iter().all(|building| building.holidays.is_empty()) {
            let name = table.name();
            notes.add(&format!("{name} tells no holidays: they are told by load alone"));
        }
        Ok(all)
    }

    fn add_row(&mut self, table: &Table) -> Result<(), Fault> {
        let told = told_hours(table)?;
        let name = table.text(BUILDING_NAME);
        if name.is_empty() {
            return Err(table.fault(BUILDING_NAME, "a name", "fill in the column"));
        }
        let prefix = prefix(table)?;
        let building = self.named(name);
        let known = &mut self.buildings[building as usize];
        let differs = told.zone.as_ref().zip(known.zone.as_ref()).is_some_and(|(a, b)| a != b);
        if differs {
            let fault = "what an earlier row of the building told";
            return Err(table.fault(TIME_ZONE, fault, "tell one zone for each building"));
        }
        known.zone = told.zone.or(known.zone.take());
        known.hours = told.hours.or(known.hours.take());
        known.holidays.extend(told.holidays);
        if known.address.iter().all(String::is_empty) {
            known.address = std::array::from_fn(|at| table.text(CITY + at).to_owned());
        }
        debug_assert_eq!(CITY + 4, REGION);
        self.add_network(table, building, prefix);
        Ok(())
    }

    fn add_network(&mut self, table: &Table, building: u32, prefix: Option<IpNet>) {
        let name = table.text(NETWORK_NAME);
        let number = u32::try_from(self.networks.len()).unwrap_or(u32::MAX);
        let mut labels = vec![table.text(NETWORK_IP).to_owned(), name.to_owned()];
        if let Some(prefix) = prefix {
            labels.extend([prefix.to_string(), prefix.addr().to_string()]);
            self.by_prefix.entry(prefix).or_default().push(number);
        }
        labels.sort_unstable();
        labels.dedup();
        for label in labels.into_iter().filter(|label| !label.is_empty()) {
            self.by_label.entry(label).or_default().push(number);
        }
        let label = match (prefix, table.text(NETWORK_IP)) {
            (Some(prefix), _) => prefix.to_string(),
            (None, "") => name.to_owned(),
            (None, text) => text.to_owned(),
        };
        if !label.is_empty() {
            let is_vpn = table.text(VPN) == "1";
            self.networks.push(Network { label, building, is_vpn });
        }
    }

    /// The building of that name; made when it is new.
    pub(super) fn named(&mut self, name: &str) -> u32 {
        if let Some(&known) = self.by_name.get(name) {
            return known;
        }
        let number = u32::try_from(self.buildings.len()).unwrap_or(u32::MAX);
        self.buildings.push(Building { name: name.to_owned(), ..Building::default() });
        self.by_name.insert(name.to_owned(), number);
        number
    }

    /// The building of that name.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// The only building there is.
    pub(super) fn only(&self) -> Option<u32> {
        (self.buildings.len() == 1).then_some(0)
    }

    /// True when a file told which buildings there are.
    pub(super) const fn are_told(&self) -> bool {
        self.are_told
    }

    /// The network that a text names, by prefix, address, name or an address inside it; in `building`,
    /// where that is known. `None` when there is none, or several are in question.
    pub(super) fn network(&self, text: &str, building: Option<u32>) -> Option<&Network> {
        let here = |numbers: &Vec<u32>| -> Vec<&Network> {
            let networks = numbers.iter().filter_map(|&number| self.networks.get(number as usize));
            let is_here =
                |network: &&Network| building.is_none_or(|building| network.building == building);
            networks.filter(is_here).collect()
        };
        let found = match self.by_label.get(text) {
            Some(numbers) => here(numbers),
            None => {
                let inside: IpNet = match text.parse::<IpAddr>() {
                    Ok(address) => address.into(),
                    Err(_) => text.parse().ok()?,
                };
                let mut around = (1..=inside.prefix_len()).rev().filter_map(|length| {
                    let prefix = IpNet::new(inside.addr(), length).ok()?.trunc();
                    Some(here(self.by_prefix.get(&prefix)?))
                });
                around.find(|networks| !networks.is_empty())?
            }
        };
        let [first, others @ ..] = &found[..] else { return None };
        // A network may have several rows.
        let is_same =
            |other: &&Network| other.building == first.building && other.label == first.label;
        others.iter().all(is_same).then_some(*first)
    }

    /// The buildings as they are judged. Zone and hours that the file does not tell are the fallback's,
    /// or the country's where only one answer is possible.
    ///
    /// # Errors
    /// When a building that has series has no zone or no hours.
    pub(super) fn into_sites(
        self,
        has_series: &dyn Fn(u32) -> bool,
        fallback: &Fallback,
        notes: &mut Notes,
    ) -> anyhow::Result<Vec<Site>> {
        let mut missing = Missing::default();
        let mut sites = Vec::with_capacity(self.buildings.len());
        for (number, building) in (0..).zip(self.buildings) {
            let is_used = has_series(number);
            let usual = building.usual();
            let zone = building.zone.or_else(|| fallback.zone.clone()).or_else(|| {
                let zone = usual.as_ref().and_then(|(zone, _)| zone.clone());
                missing.told_by_country.extend(zone.is_some().then(|| building.name.clone()));
                zone
            });
            let hours = building.hours.or_else(|| fallback.hours.clone()).or_else(|| {
                missing.usual_hours += usize::from(is_used);
                usual.and_then(|(_, hours)| hours)
            });
            if is_used && zone.is_none() {
                missing.zones.push(building.name.clone());
            }
            if is_used && hours.is_none() {
                missing.hours.push(building.name.clone());
            }
            sites.push(Site {
                name: building.name,
                // Nothing is judged in a building without series.
                zone: zone.unwrap_or(TimeZone::UTC),
                hours: hours.unwrap_or_else(never),
                holidays: building.holidays,
            });
        }
        missing.told(notes)?;
        Ok(sites)
    }
}

impl Building {
    /// What its address tells of zone and hours.
    fn usual(&self) -> Option<(Option<TimeZone>, Option<BusinessHours>)> {
        if self.zone.is_some() && self.hours.is_some() {
            return None;
        }
        let quoted = |text: &String| format!("\"{}\"", text.replace('"', "\"\""));
        let address: Vec<String> = self.address.iter().map(quoted).collect();
        let row = format!("10.0.0.0,x,24,x,,,,{},1,0,0\n", address.join(","));
        let building = building_file::parse(&row, None).buildings.pop()?;
        let zone = building.time_zone.as_deref().and_then(value::zone);
        Some((zone, building.business_hours))
    }
}

/// Nobody works: the hours of a building without series.
fn never() -> BusinessHours {
    "Mo 00:00-00:15".parse().expect("these are business hours")
}

#[derive(Debug, Default)]
struct Missing {
    zones: Vec<String>,
    hours: Vec<String>,
    told_by_country: Vec<String>,
    usual_hours: usize,
}

impl Missing {
    fn told(self, notes: &mut Notes) -> anyhow::Result<()> {
        if !self.zones.is_empty() {
            bail!(
                "the time zone is not known of {}: fill the column TimeZone of buildings.csv, or give \
                 --zone, such as --zone Europe/Berlin, for all of them",
                some(&self.zones)
            );
        }
        if !self.hours.is_empty() {
            bail!(
                "the business hours are not known of {}: fill the column BusinessHours of \
                 buildings.csv, or give --hours, such as --hours \"Mo-Fr 08:00-18:00\", for all of them",
                some(&self.hours)
            );
        }
        if !self.told_by_country.is_empty() {
            let buildings = some(&self.told_by_country);
            notes.add(&format!("the time zone is the country's for {buildings}"));
        }
        if self.usual_hours > 0 {
            let count = self.usual_hours;
            notes.add(&format!(
                "the business hours are the country's usual ones for {count} buildings"
            ));
        }
        Ok(())
    }
}

/// The first of some names, and how many there are.
pub(super) fn some(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    let more = names.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

#[derive(Debug, Default)]
struct Told {
    zone: Option<TimeZone>,
    hours: Option<BusinessHours>,
    holidays: Vec<Date>,
}

fn told_hours(table: &Table) -> Result<Told, Fault> {
    // Without a line of names, the building file's last column (VPN) may be left out.
    let is_zone = |column: usize| value::zone(table.text(column)).is_some();
    let left_out = !table.has_header() && !is_zone(TIME_ZONE) && is_zone(VPN);
    let [zone_at, hours_at, holidays_at] =
        [TIME_ZONE, BUSINESS_HOURS, HOLIDAYS].map(|column| column - usize::from(left_out));
    let (zone, hours, holidays) =
        (table.text(zone_at), table.text(hours_at), table.text(holidays_at));
    let mut told = Told::default();
    if !zone.is_empty() {
        let remedy = "write a name of the IANA database, such as Europe/Berlin";
        let known = value::zone(zone).ok_or_else(|| table.fault(zone_at, "a time zone", remedy))?;
        told.zone = Some(known);
    }
    if !hours.is_empty() {
        let remedy = "write, for example, Mo-Fr 08:00-18:00";
        let known = value::hours(hours);
        told.hours = Some(known.ok_or_else(|| table.fault(hours_at, "business hours", remedy))?);
    }
    told.holidays = value::dates(holidays).map_err(|_| {
        table.fault(holidays_at, "dates", "write dates such as 2025-12-25, separated by spaces")
    })?;
    Ok(told)
}

/// The prefix of a row: an address with a length beside it, or both in one. A network may also be told
/// by a name, or by an address alone where no column tells lengths; it has no prefix then.
fn prefix(table: &Table) -> Result<Option<IpNet>, Fault> {
    let text = table.text(NETWORK_IP);
    let is_address = text.contains(['.', ':']) && text.starts_with(|c: char| c.is_ascii_hexdigit());
    if text.is_empty() || !is_address || text.contains(|c: char| c.is_whitespace()) {
        return Ok(None);
    }
    if let Ok(whole) = text.parse::<IpNet>() {
        return Ok(Some(whole.trunc()));
    }
    let remedy = "write the network address, such as 10.1.2.0, and its length in NetworkRange";
    let wrong = |column| table.fault(column, "a network", remedy);
    let address: IpAddr = text.parse().map_err(|_| wrong(NETWORK_IP))?;
    if !table.has(NETWORK_RANGE) {
        return Ok(None);
    }
    let range = table.text(NETWORK_RANGE).trim_start_matches('/');
    let mask = || ipnet::ip_mask_to_prefix(range.parse().ok()?).ok();
    let length = range.parse::<u8>().ok().or_else(mask);
    let whole = length.and_then(|length| IpNet::new(address, length).ok());
    whole.map(|whole| Some(whole.trunc())).ok_or_else(|| wrong(NETWORK_RANGE))
}
