//! A way from one namespace's loopback to another's, as a tunnel between two machines is.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::Namespace;

/// Carries TCP connections to the address it gives, on `from`'s loopback, on to `target` on `to`'s. It
/// lasts as long as the test's process: it waits for connections that may never come.
///
/// # Panics
/// When the system has no socket left.
pub(crate) fn tunnel(from: &Namespace, to: &Namespace, target: SocketAddr) -> SocketAddr {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let listener = from.inside(listen);
    let address = listener.local_addr().expect("an address");
    let to = to.handle();
    thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            // Who cannot be reached closes the connection: that is what a tunnel's user sees, too.
            let Ok(far) = to.inside(|| TcpStream::connect(target)) else { continue };
            for (from, to) in [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))] {
                thread::spawn(move || carry(from, to));
            }
        }
    });
    address
}

fn carry(from: io::Result<TcpStream>, to: io::Result<TcpStream>) {
    if let (Ok(mut from), Ok(mut to)) = (from, to) {
        // However it ends, both ends learn that it has.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    }
}
