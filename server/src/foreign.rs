//! Files that others made: a workspace, another program, another user. Reading one never waits and never takes more memory
//! than the caller allows.
//!
//! A pipe, a device, a socket or a folder in a file's place is refused before it is opened, since opening alone may wait or
//! do something. Leaves out where a disk itself does not answer: whoever must not wait reads on a thread beside.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// The whole of a file of at most `most` bytes.
///
/// # Errors
/// The file's own (`NotFound`, …); `InvalidInput` where it is no regular file; `FileTooLarge`. Each names the file.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut opened = open(path, most)?;
    let mut bytes = Vec::with_capacity(usize::try_from(opened.length).unwrap_or_default());
    opened.read_to_end(&mut bytes).map_err(named(path))?;
    Ok(bytes)
}

/// The same, of a file that must be UTF-8.
///
/// # Errors
/// Those of [`read`]; `InvalidData` where it is no text.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| named(path)(io::Error::new(ErrorKind::InvalidData, "it is not UTF-8 text")))
}

/// A file that is read piece by piece. A read beyond its limit fails, so that a file that grows meanwhile, or that has no
/// size, is bounded, too.
#[derive(Debug)]
pub struct Opened {
    file: File,
    left: u64,
    most: u64,
    length: u64,
}

/// Opens a file of at most `most` bytes for reading.
///
/// # Errors
/// Those of [`read`].
pub fn open(path: &Path, most: u64) -> io::Result<Opened> {
    let named = named(path);
    let mut options = File::options();
    options.read(true);
    // What was put there between the look and the opening does not make it wait either.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(
        &mut options,
        (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY).bits() as i32,
    );
    let looked = std::fs::metadata(path).and_then(|found| must_be_file(&found));
    let file = looked.and_then(|()| options.open(path)).map_err(&named)?;
    let found = file.metadata().map_err(&named)?;
    must_be_file(&found).map_err(&named)?;
    if found.len() > most {
        return Err(named(too_large(most)));
    }
    Ok(Opened { file, left: most, most, length: found.len() })
}

impl Read for Opened {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // One byte more than is allowed shows that there is more.
        let room = usize::try_from(self.left.saturating_add(1)).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read(&mut buffer[..room])?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| too_large(self.most))?;
        Ok(count)
    }
}

fn must_be_file(found: &Metadata) -> io::Result<()> {
    match found.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

fn too_large(most: u64) -> io::Error {
    let limit = if most >= 1 << 20 { format!("{} MiB", most >> 20) } else { format!("{} KiB", most >> 10) };
    io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {limit}, and no more is read of it"))
}

fn named(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        std::fs::create_dir(at("folder")).unwrap();
        symlink("/dev/zero", at("zero")).unwrap();
        symlink(at("pipe"), at("to pipe")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        File::create(at("sparse")).unwrap().set_len(4 << 30).unwrap();
        let check = |name: &str, kind: ErrorKind| {
            let error = read(&at(name), 1 << 20).unwrap_err();
            assert_eq!(error.kind(), kind, "{name}: {error}");
            assert!(error.to_string().starts_with(&at(name).display().to_string()), "{error}");
        };
        for name in ["pipe", "socket", "folder", "zero", "to pipe"] {
            check(name, ErrorKind::InvalidInput);
        }
        check("dangling", ErrorKind::NotFound);
        symlink(at("loop"), at("loop")).unwrap();
        assert!(read(&at("loop"), 1).unwrap_err().to_string().contains("loop"));
        check("sparse", ErrorKind::FileTooLarge);
    }

    #[test]
    fn the_limit_is_named_and_what_fits_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read_text(&path, 1 << 10).unwrap(), "12345");
        assert!(read(&path, 4).unwrap_err().to_string().contains("larger than 0 KiB"));
        std::fs::write(&path, vec![0xff; 2 << 10]).unwrap();
        assert!(read(&path, 1 << 10).unwrap_err().to_string().contains("larger than 1 KiB"));
        assert_eq!(read_text(&path, 2 << 10).unwrap_err().kind(), ErrorKind::InvalidData);
        // A file that says that it is empty and is not.
        #[cfg(target_os = "linux")]
        {
            assert!(!read(Path::new("/proc/self/maps"), 1 << 20).unwrap().is_empty());
            let error = read(Path::new("/proc/self/maps"), 10).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::FileTooLarge, "{error}");
        }
    }
}
