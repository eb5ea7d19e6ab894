//! The law of packs, for the fuzzer and the tests.

use busyhour_model::{
    AddressFamily, Link, LinkKind, PathId, PathKey, ProfileName, TargetName, TrafficClass,
    Transport, UtcMicros,
};

use super::{Row, VERSION, checksum, decode_pack, encode_pack, pack_times, unpack_rows};

const PATH: PathId = PathId(1);

/// The body of a fuzz target: `data` as the content of a pack whose checksum holds. Whatever can be read
/// from it can be packed again, and reads as the same rows and the same windows then.
///
/// # Panics
/// When the law does not hold.
pub fn fuzz_pack(data: &[u8]) {
    let pack = sealed(data);
    let (rows, times) = (unpack_rows(&pack, PATH), pack_times(&pack, PATH));
    let windows = read(&pack);
    let Ok(rows) = rows else {
        assert!(windows.is_err(), "windows without rows");
        return;
    };
    let rows: Vec<Row<'_>> = rows.iter().collect();
    let of_rows: Vec<(UtcMicros, u32)> = rows.iter().map(|row| (row.placed, row.nth)).collect();
    assert_eq!(times, Ok(of_rows));
    let Ok(again) = encode_pack(PATH, &rows) else {
        assert!(windows.is_err(), "a window that cannot be packed again");
        return;
    };
    let rows_again = unpack_rows(&again, PATH).expect("what was just packed");
    assert!(rows_again.iter().eq(rows.iter().copied()), "other rows");
    assert_eq!(windows.ok(), read(&again).ok(), "other windows");
}

/// A pack of this version with this content and a checksum that holds.
fn sealed(data: &[u8]) -> Vec<u8> {
    let mut pack = [&[VERSION], data].concat();
    let checksum = checksum(PATH, &pack);
    pack.extend_from_slice(&checksum);
    pack
}

fn read(pack: &[u8]) -> super::Decoded<Vec<crate::StoredWindow>> {
    let key = PathKey {
        link: Link::new(LinkKind::Wired, "link0").expect("a short name"),
        family: AddressFamily::Ipv4,
        target: TargetName::new("edge.example:862").expect("a short name"),
        class: TrafficClass::Audio,
        profile: ProfileName::new("audio-50").expect("a short name"),
        transport: Transport::Udp,
    };
    decode_pack(pack, PATH, &key, UtcMicros(i64::MIN), UtcMicros(i64::MAX))
}
