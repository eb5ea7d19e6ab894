//! Kills and cuts of the network between an agent and a collector that know each other by certificates:
//! what was sealed is stored, and once.

use lab::{Certified, Cut, Network};

#[test]
fn over_certificates_nothing_is_lost_and_nothing_comes_twice_through_kills_and_cuts() {
    let Some(network) = Network::new() else { return };
    let mut both = Certified::start(&network);
    both.wait_for_stored(3);

    // Blocks arrive, and nobody hears that they did; then the one who sent them is killed.
    both.cut(Cut::FromCollector);
    both.wait_for_held(5);
    both.kill_agent();
    both.heal();
    both.wait_for_stored(5);

    // Nothing passes, and both begin anew meanwhile.
    both.cut(Cut::Both);
    both.kill_collector();
    both.wait_for_held(5);
    both.kill_agent();
    both.heal();
    both.wait_for_stored(5);

    // A connection that is there is cut and comes back by itself.
    both.cut(Cut::Both);
    both.wait_for_held(5);
    both.heal();
    both.wait_for_stored(5);
    let ledger = both.settle();
    println!("{} blocks with {} windows, each stored once", ledger.blocks, ledger.windows);
}
