"""The program: its commands, and the one place where exceptions become an exit code and a line on stderr.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted; a node has one more, see `node`.
"""

import errno
import io
import os
import re
import sys
from typing import Annotated

import typer

from orchestrix_raft import OrchestrixError
from orchestrix_raft.cli import options, output
from orchestrix_raft.cli.commands import Commands
from orchestrix_raft.cli.output import Failure
from orchestrix_raft.version import VERSION

_LIKE_A_NUMBER = re.compile(r"-\d").match
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

app = typer.Typer(
    name="orchestrix-raft",
    cls=Commands,
    help="Background jobs on a Raft cluster, without a broker.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"max_content_width": 110, "help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"orchestrix-raft {VERSION}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    servers: options.Servers = None,
    tls_ca: options.TlsCa = None,
    tls_cert: options.TlsCert = None,
    tls_key: options.TlsKey = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    if context.invoked_subcommand == "node" and (tls_ca or tls_cert or tls_key):
        raise typer.BadParameter("write --tls-... after the command: those before it are for clients")
    options.remember_servers(context, servers)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and leave the process with its exit code."""
    if sys.stdout is None or sys.stderr is None:  # closed by who started us: say it to nobody
        nobody = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
        sys.stdout, sys.stderr = sys.stdout or nobody, sys.stderr or nobody
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Who follows a log through a pipe wants it now; what the terminal cannot show is shown as an escape.
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        code = app(arguments, prog_name="orchestrix-raft", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        return _usage(error, sys.argv[1:] if arguments is None else arguments)
    except (OrchestrixError, Failure) as error:
        output.trouble(f"{str(error) or type(error).__name__}{_hint(error)}")
        return error.code if isinstance(error, Failure) else 1
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except UnicodeEncodeError as error:  # of an argument: output never raises it
        output.trouble(f"not text in UTF-8: {str(error.object)[:100]!r}")
        return 2
    except SystemExit as leaving:
        if not isinstance(leaving.__context__, BrokenPipeError):
            raise  # of a worker's module
        _write_no_more()  # typer leaves like this when the reader of our output (head) has what it wanted
        return 0
    except BrokenPipeError:
        _write_no_more()
        return 0
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _write_no_more()
        output.trouble(f"cannot write the output: {error.strerror}")
        return 1
    return code if isinstance(code, int) else 0


def _hint(error: Exception) -> str:
    """What to do when no node could be asked: whoever calls from a program knows where its nodes are."""
    if getattr(error, "reason", "") != "NO_SERVER":
        return ""
    if "cannot connect" in str(error):
        return "; start a node with `orchestrix-raft node`, or name others with --servers"
    return "; `orchestrix-raft status` says how the nodes are, --servers names others"


def _write_no_more() -> None:
    """Also not what is still in the buffer, at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _usage(error: typer.TyperException, arguments: list[str]) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":  # typer does not export it; its message is the help
        print(error.message, file=sys.stderr)
        return error.exit_code
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "orchestrix-raft"
    message = re.sub(r"^Invalid value(: | for )", "", error.format_message()).rstrip(".")
    message = re.sub(r"^'(-?-?[\w:-]+)': ", r"\1: ", message)
    message = re.sub("Input should be a valid integer.*", "it must be a whole number", message)
    message = message.replace("Input should be", "it must be")
    unknown = getattr(error, "option_name", None) or ""
    if _LIKE_A_NUMBER(unknown):
        whole = next((one for one in arguments if one.startswith(unknown)), unknown)
        message = f"a negative value is not possible here: {whole}"
    output.trouble(f"{message} (see {command} --help)")
    return error.exit_code
