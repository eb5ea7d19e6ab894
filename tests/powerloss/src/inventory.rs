//! What is put into the small part of the store: agents, and building files.

use busyhour_model::{AgentId, FileBuilding, FileSubnet, NetworkColumns, UtcMicros};
use busyhour_store::{Act, Binding, NewAgent};

/// The agent of this number.
#[must_use]
pub fn agent(number: u32) -> NewAgent {
    NewAgent {
        id: AgentId::from_u128(0x1_0000 + u128::from(number)),
        name: format!("agent {number}"),
        secret_sha256: [7; 32],
        simulated: false,
        binding: Binding::Address,
        added: moment(number),
    }
}

/// The building file of this number: one building, named after it.
#[must_use]
pub fn file(number: u32) -> Vec<FileBuilding> {
    let subnets = (0..20).map(|third| FileSubnet {
        prefix: format!("10.{}.{third}.0/24", number % 200).parse().expect("a prefix"),
        egress: None,
        columns: columns(),
    });
    vec![FileBuilding {
        name: format!("building {number}"),
        city: "Hamburg".to_owned(),
        country: "DE".to_owned(),
        region: "EMEA".to_owned(),
        time_zone: Some("Europe/Berlin".to_owned()),
        business_hours: None,
        holidays: std::collections::BTreeSet::new(),
        subnets: subnets.collect(),
    }]
}

/// Whoever does the act of this number.
#[must_use]
pub fn act(number: u32) -> Act {
    Act::by_operator(moment(number))
}

fn moment(number: u32) -> UtcMicros {
    UtcMicros(i64::from(number) * 1_000_000)
}

fn columns() -> NetworkColumns {
    NetworkColumns {
        network_name: "floor".to_owned(),
        ownership_type: "own".to_owned(),
        building_type: "office".to_owned(),
        building_office_type: "sales".to_owned(),
        city: "Hamburg".to_owned(),
        zip_code: "20095".to_owned(),
        country: "DE".to_owned(),
        state: String::new(),
        region: "EMEA".to_owned(),
        inside_corp: true,
        express_route: false,
        vpn: false,
    }
}
