//! The rows of the building file (Call Quality Dashboard, "Upload tenant and building data").

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::table::{TableRow, delimiter_of, rows, without_mark};
use super::{Draft, DraftBuilding, DraftNetwork, Findings, Place, Source};
use crate::{FileBuilding, FileSubnet, NetworkColumns};

/// The columns, in the order of the format.
pub(super) const COLUMNS: [&str; 15] = [
    "NetworkIP",
    "NetworkName",
    "NetworkRange",
    "BuildingName",
    "OwnershipType",
    "BuildingType",
    "BuildingOfficeType",
    "City",
    "ZipCode",
    "Country",
    "State",
    "Region",
    "InsideCorp",
    "ExpressRoute",
    "VPN",
];
const NETWORK_IP: usize = 0;
const NETWORK_NAME: usize = 1;
const NETWORK_RANGE: usize = 2;
const BUILDING_NAME: usize = 3;
const INSIDE_CORP: usize = 12;
const EXPRESS_ROUTE: usize = 13;
const VPN: usize = 14;

/// The ranges that the format allows; 32 is for the addresses of a VPN.
const RANGES: std::ops::RangeInclusive<u8> = 8..=28;
/// Far above any name in use; what is longer is a damaged file.
const MAX_FIELD_CHARS: usize = 256;

pub(super) fn read(text: &str, draft: &mut Draft, findings: &mut Findings) {
    let text = without_mark(text);
    let delimiter = delimiter_of(text);
    let first = Place::line(Source::BuildingFile, 1);
    if delimiter == b';' {
        findings.error(
            first,
            "the columns are separated by semicolons",
            "save the file with commas or tabs between the columns",
        );
        return;
    }
    let rows = rows(text, delimiter);
    if rows.is_empty() {
        findings.error(first, "the file has no rows", "export the building file again");
    }
    for row in &rows {
        read_row(row, draft, findings);
    }
}

fn read_row(row: &TableRow, draft: &mut Draft, findings: &mut Findings) {
    let place = Place::line(Source::BuildingFile, row.line);
    let fields = &row.fields;
    if fields.iter().all(String::is_empty) {
        findings.warning(place, "the row is empty and left out", "delete the row");
        return;
    }
    if fields[NETWORK_IP].eq_ignore_ascii_case(COLUMNS[NETWORK_IP]) {
        findings.error(
            place,
            "this row names the columns, and the format has no such row",
            "delete the row",
        );
        return;
    }
    if !(14..=15).contains(&fields.len()) {
        let message = format!("the row has {} columns, not 14 or 15", fields.len());
        let remedy = "give each row 15 columns; leave a column empty rather than out, and quote \
                      values that hold the separator";
        findings.error(place, message, remedy);
        return;
    }
    let fields = Fields { fields, place };
    if let Some((name, subnet)) = fields.network(findings) {
        let building = building_of(draft, name, &subnet, place);
        let place = place.column(NETWORK_IP);
        draft.networks.push(DraftNetwork { subnet, building, place });
    }
}

/// The building's position; its first row tells where it is.
fn building_of(draft: &mut Draft, name: &str, subnet: &FileSubnet, place: Place) -> usize {
    if let Some(&known) = draft.by_name.get(name) {
        return known;
    }
    let columns = &subnet.columns;
    let building = FileBuilding {
        name: name.to_owned(),
        city: columns.city.clone(),
        country: columns.country.clone(),
        region: columns.region.clone(),
        time_zone: None,
        business_hours: None,
        holidays: BTreeSet::new(),
        subnets: Vec::new(),
    };
    let position = draft.buildings.len();
    draft.buildings.push(DraftBuilding { building, state: columns.state.clone(), place });
    draft.by_name.insert(name.to_owned(), position);
    position
}

/// The 14 or 15 fields of a row.
struct Fields<'r> {
    fields: &'r [String],
    place: Place,
}

impl<'r> Fields<'r> {
    /// Reads the row; every fault in it is told, and any makes it `None`.
    fn network(&self, findings: &mut Findings) -> Option<(&'r str, FileSubnet)> {
        let readable = self.check_texts(findings);
        let name = self.required(BUILDING_NAME, findings);
        let network_name = self.required(NETWORK_NAME, findings);
        let inside_corp = self.boolean(INSIDE_CORP, findings);
        let express_route = self.boolean(EXPRESS_ROUTE, findings);
        let vpn = self.vpn(findings);
        let tagged = |text: Option<&str>| text.is_some_and(|t| t.to_lowercase().contains("vpn"));
        let of_vpn = vpn == Some(true) || tagged(name) || tagged(network_name);
        let prefix = self.prefix(of_vpn, findings);
        if !readable {
            return None;
        }
        let text = |index: usize| self.fields[index].clone();
        let columns = NetworkColumns {
            network_name: network_name?.to_owned(),
            ownership_type: text(4),
            building_type: text(5),
            building_office_type: text(6),
            city: text(7),
            zip_code: text(8),
            country: text(9),
            state: text(10),
            region: text(11),
            inside_corp: inside_corp?,
            express_route: express_route?,
            vpn: vpn?,
        };
        Some((name?, FileSubnet { prefix: prefix?, egress: None, columns }))
    }

    fn check_texts(&self, findings: &mut Findings) -> bool {
        let mut readable = true;
        for (index, field) in self.fields.iter().enumerate() {
            let fault = if field.chars().nth(MAX_FIELD_CHARS).is_some() {
                "is longer than 256 characters"
            } else if field.chars().any(char::is_control) {
                "holds a line break or another control character"
            } else {
                continue;
            };
            readable = false;
            let message = format!("{} {fault}", COLUMNS[index]);
            findings.error(self.place.column(index), message, "check the quotes of this row");
        }
        readable
    }

    fn required(&self, index: usize, findings: &mut Findings) -> Option<&'r str> {
        let field = self.fields[index].as_str();
        if field.is_empty() {
            let message = format!("{} is empty, and it is required", COLUMNS[index]);
            findings.error(self.place.column(index), message, "fill in the column");
            return None;
        }
        Some(field)
    }

    fn boolean(&self, index: usize, findings: &mut Findings) -> Option<bool> {
        match self.required(index, findings)? {
            "0" => Some(false),
            "1" => Some(true),
            other => {
                let message = format!("{} is {other:?}, not 0 or 1", COLUMNS[index]);
                findings.error(self.place.column(index), message, "write 1 for yes, 0 for no");
                None
            }
        }
    }

    /// The last column may be empty or left out.
    fn vpn(&self, findings: &mut Findings) -> Option<bool> {
        match self.fields.get(VPN).map(String::as_str) {
            None | Some("") => Some(false),
            Some(_) => self.boolean(VPN, findings),
        }
    }

    fn prefix(&self, of_vpn: bool, findings: &mut Findings) -> Option<IpNet> {
        let address = self.address(findings);
        let range = self.range(of_vpn, findings);
        let net = Ipv4Net::new(address?, range?).ok()?;
        if net.addr() != net.network() {
            let message = format!(
                "NetworkIP {} is an address inside the network {}",
                net.addr(),
                net.trunc()
            );
            let remedy = format!("write the network address {}", net.network());
            findings.error(self.place.column(NETWORK_IP), message, remedy);
            return None;
        }
        Some(net.into())
    }

    fn address(&self, findings: &mut Findings) -> Option<Ipv4Addr> {
        let text = self.required(NETWORK_IP, findings)?;
        let remedy = match text.parse() {
            Ok(IpAddr::V4(address)) => return Some(address),
            Ok(IpAddr::V6(_)) => {
                "the format knows IPv4 only; put IPv6 prefixes into the companion table, column \
                 Prefix"
            }
            Err(_) if text.contains('/') => "write the address here and the length in NetworkRange",
            Err(_) => "write the network address, such as 10.1.2.0",
        };
        let message = format!("NetworkIP {text:?} is not an IPv4 address");
        findings.error(self.place.column(NETWORK_IP), message, remedy);
        None
    }

    fn range(&self, of_vpn: bool, findings: &mut Findings) -> Option<u8> {
        let text = self.required(NETWORK_RANGE, findings)?;
        let place = self.place.column(NETWORK_RANGE);
        let Ok(range) = text.trim_start_matches('/').parse::<u8>() else {
            let remedy = mask_length(text).map_or_else(
                || "write the prefix length, a number from 8 to 28".to_owned(),
                |length| format!("write the prefix length {length}"),
            );
            let message = format!("NetworkRange {text:?} is not a prefix length");
            findings.error(place, message, remedy);
            return None;
        };
        if RANGES.contains(&range) || (range == 32 && of_vpn) {
            return Some(range);
        }
        let message = format!("NetworkRange {range} is not in 8 to 28");
        let remedy = match range {
            32 => "32 is for the addresses of a VPN only: set VPN to 1, or give the whole network",
            29.. => "give the network that this is a part of",
            _ => "split the network",
        };
        findings.error(place, message, remedy);
        None
    }
}

/// The length that a dotted mask stands for.
fn mask_length(text: &str) -> Option<u8> {
    ipnet::ip_mask_to_prefix(IpAddr::V4(text.parse().ok()?)).ok()
}
