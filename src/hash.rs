//! SHA-256 of files.

use std::io::{self, Read};

use ring::digest::{Context, SHA256};

/// How much is read at once: large enough that the disk and not the calls sets the pace.
const READ: usize = 1 << 20;

/// The hash of what some readers give, one after the other, in hexadecimal digits, and how many
/// bytes that was.
pub fn sha256<R: Read>(
    readers: impl IntoIterator<Item = io::Result<R>>,
) -> io::Result<(String, u64)> {
    let (mut context, mut buffer, mut bytes) = (Context::new(&SHA256), vec![0; READ], 0);
    for reader in readers {
        let mut reader = reader?;
        loop {
            let length = match reader.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                length => length?,
            };
            if length == 0 {
                break;
            }
            context.update(&buffer[..length]);
            bytes += length as u64;
        }
    }
    Ok((hexadecimal(context.finish().as_ref()), bytes))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
