//! Start keys of MPPE from MS-CHAPv2 (RFC 3079 section 3).

use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::pptp::secret::StartKey;

use super::mschapv2::{first, hash_of_hash};

/// RFC 3079 section 3.4.
const MAGIC_1: &[u8] = b"This is the MPPE Master Key";
const MAGIC_2: &[u8] =
    b"On the client side, this is the send key; on the server side, it is the receive key.";
const MAGIC_3: &[u8] =
    b"On the client side, this is the receive key; on the server side, it is the send key.";
const PAD_1: [u8; 40] = [0x00; 40];
const PAD_2: [u8; 40] = [0xF2; 40];

/// Which end of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pptp) enum Side {
    /// The one that proved itself by the NT-Response.
    Client,
    /// The one that asked for it.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests play the server"))]
    Server,
}

/// The start keys of both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::pptp) struct StartKeys {
    pub(in crate::pptp) transmit: StartKey,
    pub(in crate::pptp) receive: StartKey,
}

/// GetMasterKey and GetAsymmetricStartKey (section 3.4) for 128 bit; the first eight bytes are the
/// start key for 40 bit.
pub(in crate::pptp) fn start_keys(hash: &[u8; 16], response: &[u8; 24], side: Side) -> StartKeys {
    let digest = Sha1::new()
        .chain_update(*hash_of_hash(hash))
        .chain_update(response)
        .chain_update(MAGIC_1)
        .finalize();
    let master = Zeroizing::new(first::<16>(&digest));
    let (to_server, to_client) = (start_key(&master, MAGIC_2), start_key(&master, MAGIC_3));
    match side {
        Side::Client => StartKeys { transmit: to_server, receive: to_client },
        Side::Server => StartKeys { transmit: to_client, receive: to_server },
    }
}

fn start_key(master: &[u8; 16], magic: &[u8]) -> StartKey {
    let digest = Sha1::new()
        .chain_update(master)
        .chain_update(PAD_1)
        .chain_update(magic)
        .chain_update(PAD_2)
        .finalize();
    StartKey::new(first(&digest))
}

#[cfg(test)]
mod tests {
    use super::super::mschapv2::tests::hex;
    use super::*;

    /// RFC 3079 sections 3.5.1 and 3.5.3: login "User", password "clientPass", the challenges of
    /// RFC 2759.
    fn keys(side: Side) -> StartKeys {
        let hash = hex("44 EB BA 8D 53 12 B8 D6 11 47 44 11 F5 69 89 AE");
        let response =
            hex("82 30 9E CD 8D 70 8B 5E A0 8F AA 39 81 CD 83 54 42 33 11 4A 3D 85 D6 DF");
        start_keys(&hash, &response, side)
    }

    #[test]
    fn the_start_keys_of_rfc_3079_come_out() {
        let vector: [u8; 16] = hex("8B 7C DC 14 9B 99 3A 1B A1 18 CB 15 3F 56 DC CB");
        assert_eq!(keys(Side::Server).transmit.reveal(), &vector);
        assert_eq!(keys(Side::Client).receive.reveal(), &vector);
    }

    #[test]
    fn the_start_key_for_40_bit_is_the_beginning_of_the_one_for_128() {
        let vector: [u8; 8] = hex("8B 7C DC 14 9B 99 3A 1B");
        assert_eq!(keys(Side::Server).transmit.reveal()[..8], vector);
    }

    /// What the kernel makes of the start keys (GetNewKeyFromSHA, sections 3.5.1 and 3.5.3).
    #[test]
    fn the_session_keys_of_rfc_3079_follow_from_them() {
        let session = |length: usize| {
            let start = keys(Side::Server).transmit;
            let key = &start.reveal()[..length];
            Sha1::new()
                .chain_update(key)
                .chain_update(PAD_1)
                .chain_update(key)
                .chain_update(PAD_2)
                .finalize()[..length]
                .to_vec()
        };
        assert_eq!(session(16), hex::<16>("40 5C B2 24 7A 79 56 E6 E2 11 00 7A E2 7B 22 D4"));
        let mut short = session(8);
        short[..3].copy_from_slice(&[0xD1, 0x26, 0x9E]);
        assert_eq!(short, hex::<8>("D1 26 9E C4 9F A6 2E 3E"));
    }

    #[test]
    fn both_sides_have_the_same_two_keys() {
        let (client, server) = (keys(Side::Client), keys(Side::Server));
        assert_eq!((client.transmit, client.receive), (server.receive, server.transmit));
    }
}
