//! `others` and `adopt`: kernels that other programs started.

use std::path::Path;
use std::sync::Arc;

use super::say::{self, say};
use super::{name, print_json, show};
use crate::protocol::{AdoptKernelParams, Error, ErrorKind};
use crate::sessions::{Sessions, plain};

/// `others`
pub async fn others(sessions: &Arc<Sessions>, json: bool) -> Result<(), Error> {
    let others = sessions.other_kernels().await?;
    if json {
        return print_json(&others);
    }
    match others.is_empty() {
        true => match sessions.others_folder() {
            Some(folder) => {
                say!("No kernels of other programs have their connection files in {}.", plain::line(&folder))
            }
            None => say!("No kernels of other programs are running."),
        },
        false => say::table(&show::others(&others)),
    }
    Ok(())
}

/// `adopt`
pub async fn adopt(sessions: &Arc<Sessions>, which: &str, notebook: Option<&Path>) -> Result<(), Error> {
    let others = sessions.other_kernels().await?;
    let absolute =
        std::path::absolute(which).map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let is_it = |pid: u32, file: &str| pid.to_string() == which || file == absolute || file == which;
    let Some(other) = others.iter().find(|other| is_it(other.pid, &other.connection_file)) else {
        let what = format!("no kernel of another program is {}", plain::line(which));
        return Err(Error::new(ErrorKind::NotFound, what).with("what", "kernel"));
    };
    let asked = AdoptKernelParams {
        connection_file: other.connection_file.clone(),
        notebook_uri: notebook.map(|path| name(path).map(|name| name.uri)).transpose()?,
        label: None,
    };
    let session = sessions.adopt(&asked).await?;
    say!("Kept as {} ({}) from now on.", plain::line(&session.label), session.id);
    Ok(())
}
