//! The calculations of MS-CHAPv2 (RFC 2759 section 8).

use des::Des;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use md4::{Digest, Md4};
use sha1::Sha1;
use zeroize::Zeroizing;

/// RFC 2759 section 8.7.
const MAGIC_1: &[u8] = b"Magic server to client signing constant";
const MAGIC_2: &[u8] = b"Pad to make it do more than one iteration";

/// NtPasswordHash (section 8.3): MD4 of the password in UTF-16, little end first.
pub(in crate::pptp) fn password_hash(password: &str) -> Zeroizing<[u8; 16]> {
    let mut unicode = Zeroizing::new(Vec::with_capacity(password.len() * 2));
    password.encode_utf16().for_each(|unit| unicode.extend(unit.to_le_bytes()));
    Zeroizing::new(Md4::digest(&*unicode).into())
}

/// HashNtPasswordHash (section 8.4).
pub(super) fn hash_of_hash(hash: &[u8; 16]) -> Zeroizing<[u8; 16]> {
    Zeroizing::new(Md4::digest(hash).into())
}

/// ChallengeHash (section 8.2): eight bytes of both challenges and the login without its domain.
fn challenge_hash(peer: &[u8; 16], server: &[u8; 16], login: &str) -> [u8; 8] {
    let login = login.rsplit_once('\\').map_or(login, |(_domain, login)| login);
    let digest = Sha1::new().chain_update(peer).chain_update(server).chain_update(login).finalize();
    first(&digest)
}

/// GenerateNTResponse (section 8.1).
pub(in crate::pptp) fn nt_response(
    server: &[u8; 16],
    peer: &[u8; 16],
    login: &str,
    hash: &[u8; 16],
) -> [u8; 24] {
    challenge_response(&challenge_hash(peer, server, login), hash)
}

/// ChallengeResponse (section 8.5): DES of the challenge with each third of the padded hash.
fn challenge_response(challenge: &[u8; 8], hash: &[u8; 16]) -> [u8; 24] {
    let mut padded = Zeroizing::new([0_u8; 21]);
    padded.iter_mut().zip(hash).for_each(|(to, from)| *to = *from);
    let mut response = [0; 24];
    for (out, key) in response.chunks_exact_mut(8).zip(padded.chunks_exact(7)) {
        let key = Zeroizing::new(with_parity(key));
        let mut block = (*challenge).into();
        Des::new(&(*key).into()).encrypt_block(&mut block);
        out.copy_from_slice(&block);
    }
    response
}

/// 56 bits of key with a place for parity after each seven (section 8.6); DES looks at none.
fn with_parity(key: &[u8]) -> [u8; 8] {
    let bits = key.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let mut spread = [0_u8; 8];
    for (byte, shift) in spread.iter_mut().zip((0..8).rev().map(|place| place * 7)) {
        *byte = u8::try_from((bits >> shift) & 0x7F).unwrap_or_default() << 1;
    }
    spread
}

/// GenerateAuthenticatorResponse (section 8.7): what the server must answer with, `S=` and forty
/// digits.
pub(in crate::pptp) fn authenticator_response(
    hash: &[u8; 16],
    response: &[u8; 24],
    peer: &[u8; 16],
    server: &[u8; 16],
    login: &str,
) -> String {
    let signed = Sha1::new()
        .chain_update(*hash_of_hash(hash))
        .chain_update(response)
        .chain_update(MAGIC_1)
        .finalize();
    let digest = Sha1::new()
        .chain_update(signed)
        .chain_update(challenge_hash(peer, server, login))
        .chain_update(MAGIC_2)
        .finalize();
    digest.iter().fold("S=".to_owned(), |text, byte| text + &format!("{byte:02X}"))
}

/// The first bytes of a digest.
pub(super) fn first<const N: usize>(digest: &[u8]) -> [u8; N] {
    let mut taken = [0; N];
    taken.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    taken
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::pptp::auth) fn hex<const N: usize>(text: &str) -> [u8; N] {
        let digits: Vec<u8> = text
            .bytes()
            .filter(u8::is_ascii_hexdigit)
            .map(|d| u8::try_from(char::from(d).to_digit(16).unwrap()).unwrap())
            .collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<_>>().try_into().unwrap()
    }

    /// RFC 2759 section 9.2.
    #[test]
    fn the_vectors_of_rfc_2759_come_out() {
        let server = hex("5B 5D 7C 7D 7B 3F 2F 3E 3C 2C 60 21 32 26 26 28");
        let peer = hex("21 40 23 24 25 5E 26 2A 28 29 5F 2B 3A 33 7C 7E");
        assert_eq!(challenge_hash(&peer, &server, "User"), hex("D0 2E 43 86 BC E9 12 26"));
        let hash = password_hash("clientPass");
        assert_eq!(*hash, hex("44 EB BA 8D 53 12 B8 D6 11 47 44 11 F5 69 89 AE"));
        let response = nt_response(&server, &peer, "User", &hash);
        assert_eq!(
            response,
            hex("82 30 9E CD 8D 70 8B 5E A0 8F AA 39 81 CD 83 54 42 33 11 4A 3D 85 D6 DF")
        );
        assert_eq!(*hash_of_hash(&hash), hex("41 C0 0C 58 4B D2 D9 1C 40 17 A2 A1 2F A5 9F 3F"));
        assert_eq!(
            authenticator_response(&hash, &response, &peer, &server, "User"),
            "S=407A5589115FD0D6209F510FE9C04566932CDA56"
        );
    }

    /// RFC 2759 section 9.3: DES keys; parity is not looked at, so its bit is left out.
    #[test]
    fn keys_are_spread_as_in_section_9_3() {
        let spread = with_parity(&hex::<7>("FC 15 6A F7 ED CD 6C"));
        let vector: [u8; 8] = hex("FD 0B 5B 5E 7F 6E 34 D9");
        assert_eq!(spread, vector.map(|byte| byte & 0xFE));
    }

    #[test]
    fn a_domain_is_no_part_of_the_hash() {
        let (peer, server) = ([1; 16], [2; 16]);
        assert_eq!(
            challenge_hash(&peer, &server, r"OFFICE\user"),
            challenge_hash(&peer, &server, "user")
        );
    }
}
