# Keeps the user's variables in a file, and takes them back from one. Runs inside the kernel, in a namespace of its own.
#
# Each variable is pickled by itself, all by one pickler: what two of them share they share afterwards, and what cannot be
# pickled is left out alone. Large buffers (arrays) are written as they lie in memory, without a copy. Modules are not
# pickled but named, and imported first. Nothing is left behind in the user's namespace.
import base64
import collections
import enum
import functools
import io
import json
import os
import pickle
import sys
import types
import typing
import warnings

LONGEST = 300  # characters of a reason


def shell_of():
    from IPython import get_ipython

    return get_ipython()


def users(shell):
    """The user's names, in their order."""
    hidden = shell.user_ns_hidden
    for name, value in list(shell.user_ns.items()):
        if type(name) is str and not name.startswith("_") and not (name in hidden and hidden[name] is value):
            yield name, value


def reason(e):
    try:
        text = str(e)
    except Exception:
        text = ""
    text = "%s: %s" % (type(e).__name__, text) if text else type(e).__name__
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "\u2026"


def answer(content):
    return base64.b64encode(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")).decode()


def dill_or_none():
    is_users = "dill" in sys.modules
    try:
        import dill

        if not is_users:
            # Imported, it changes how the standard pickler pickles, for all whose pickler is made of that.
            dill.extend(False)
        return dill, None
    except Exception as e:
        return None, {"missing": "dill", "interpreter": sys.executable, "reason": reason(e)}


def versions(names, dill):
    """Versions of the packages that top-level modules came with."""
    import importlib.metadata as metadata

    found, others = {"dill": dill.__version__}, []
    standard = getattr(sys, "stdlib_module_names", ())
    for name in sorted(names):
        if name in standard or name in ("__main__", "builtins", "IPython", "ipykernel"):
            continue
        try:
            found[name] = metadata.version(name)
        except Exception:
            others.append(name)
    if others and hasattr(metadata, "packages_distributions"):
        for name, packages in metadata.packages_distributions().items():
            if name in others:
                found[packages[0]] = metadata.version(packages[0])
    return found


def python():
    return "%d.%d.%d" % sys.version_info[:3]


def submodules(name):
    """What was imported below a package: `import a.b` binds `a` alone."""
    below = name + "."
    return sorted(k for k in list(sys.modules) if type(k) is str and k.startswith(below) and "._" not in k)


class Out(io.RawIOBase):
    """The file. What goes wrong with it is the disk's fault, not a variable's."""

    failed = None

    def __init__(self, path):
        self.file = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=1 << 16)

    def write(self, data):
        try:
            return self.file.write(data)
        except OSError as e:
            self.failed = e
            raise


def refuse(pickler, value):
    raise pickle.PicklingError("an open file")


def put_enumeration(pickler, kind):
    """Made anew as its class statement made it: dill cannot do that with the classes of later Pythons."""
    if kind.__module__ != "__main__":
        return pickler.dispatch.dills[type(kind)](pickler, kind)
    body = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    for name, value in vars(kind).items():
        function = getattr(value, "__func__", getattr(value, "fget", value))
        own = getattr(function, "__qualname__", "").startswith(kind.__qualname__ + ".")
        if own and name not in ("__dict__", "__weakref__"):
            if name == "__new_member__":
                raise pickle.PicklingError("an enumeration with its own __new__")
            body[name] = value
    body.update((name, member._value_) for name, member in kind.__members__.items())
    boundary = getattr(kind, "_boundary_", None)
    keywords = {"metaclass": type(kind), **({"boundary": boundary} if boundary else {})}
    fill = functools.partial(sys.modules["dill._dill"]._setitems, source=body)
    pickler.save_reduce(types.new_class, (kind.__name__, kind.__bases__, keywords, fill), obj=kind)


def put_type_variable(pickler, variable):
    if variable.__module__ != "__main__":
        return pickler.save_global(variable)
    names = ("bound", "covariant", "contravariant")
    make = functools.partial(typing.TypeVar, **{name: getattr(variable, "__%s__" % name) for name in names})
    arguments = (variable.__name__, *variable.__constraints__)
    pickler.save_reduce(make, arguments, (None, {"__module__": "__main__"}), obj=variable)


def put_array(pickler, array):
    # dill would copy it; this gives its memory as it is.
    pickler.save_reduce(*array.__reduce_ex__(pickler.proto), obj=array)


class Dispatch:
    """dill's, but for what it cannot do, and for files: it would open them anew, which could empty them."""

    def __init__(self, dills):
        files = (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO)
        self.own, self.dills = {kind: refuse for kind in files}, dills
        self.own[type(enum.Enum)] = put_enumeration
        self.own[typing.TypeVar] = put_type_variable
        if "numpy" in sys.modules:
            self.own[sys.modules["numpy"].ndarray] = put_array

    def get(self, kind, default=None):
        return self.own.get(kind) or self.dills.get(kind, default)


class Pickling:
    def __init__(self, dill, out):
        self.out, self.buffers = out, []
        protocol = min(5, pickle.HIGHEST_PROTOCOL)
        self.pickler = dill.Pickler(out, protocol, recurse=False, byref=False, buffer_callback=self.buffers.append)
        self.pickler._main = sys.modules["__main__"]
        self.pickler.dispatch = Dispatch(dill.Pickler.dispatch)
        self.pickler.save_global = self.name

    def name(self, value, name=None):
        """What a module has is named; what the user made would not be found again."""
        if pickle.whichmodule(value, name or value.__qualname__) == "__main__":
            raise pickle.PicklingError("it can only be named, not kept")
        type(self.pickler).save_global(self.pickler, value, name)

    def put(self, value):
        """Where its pickle begins and ends, the sizes of the buffers behind it, and how long the memo was."""
        pickler, file = self.pickler, self.out.file
        at, known = file.tell(), len(pickler.memo)
        del self.buffers[:]
        try:
            pickler.dump(value)
            behind, sizes = file.tell(), []
            for buffer in self.buffers:
                with buffer.raw() as raw:
                    self.out.write(raw)
                    sizes.append(raw.nbytes)
            return at, behind, sizes, known
        except BaseException:
            # As if it had never been tried.
            pickler.framer.current_frame = None
            while len(pickler.memo) > known:
                pickler.memo.popitem()
            if hasattr(pickler, "_postproc"):
                pickler._postproc.clear()
            if self.out.failed is None:
                file.seek(at)
                file.truncate()
            raise
        finally:
            del self.buffers[:]


def is_lock(value):
    import threading

    # Alone it guards nothing any more; within an object dill makes it anew.
    return isinstance(value, (type(threading.Lock()), type(threading.RLock())))


def save(path):
    path = os.fsdecode(base64.b64decode(path))
    shell = shell_of()
    dill, missing = dill_or_none()
    if dill is None:
        return answer(missing)
    try:
        out = Out(path)
    except OSError as e:
        return answer({"failed": reason(e)})
    modules, index, skipped, packages = [], [], [], set()
    try:
        pickling = Pickling(dill, out)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # What it would name instead of keeping it could not be found again.
            warnings.simplefilter("error", dill.PicklingWarning)
            for name, value in users(shell):
                if type(value) is type(sys):
                    module = value.__name__
                    packages.add(module.split(".")[0])
                    modules.append([name, module, submodules(module) if name == module else []])
                    continue
                if is_lock(value):
                    skipped.append({"name": name, "reason": "a lock"})
                    continue
                origin = getattr(type(value), "__module__", None)
                if type(origin) is str:
                    packages.add(origin.split(".")[0])
                try:
                    index.append([name, *pickling.put(value)])
                except KeyboardInterrupt:
                    raise
                except BaseException as e:
                    if out.failed is not None:
                        raise out.failed
                    skipped.append({"name": name, "reason": reason(e)})
        out.file.flush()
        os.fsync(out.file.fileno())
        size = out.file.tell()
        out.file.close()
    except BaseException as e:
        try:
            os.unlink(path)
            out.file.close()
        except OSError:
            pass
        if isinstance(e, OSError):
            return answer({"failed": reason(e)})
        raise
    details = {
        "python": python(),
        "packages": versions(packages, dill),
        "modules": modules,
        "index": index,
        "memo": len(pickling.pickler.memo),
    }
    return answer({"bytes": size, "variables": [entry[0] for entry in index], "skipped": skipped, "details": details})


class Lost(Exception):
    pass


class Memo(dict):
    """What was unpickled, by its number. What belongs to a variable that failed is not given to another one."""

    def __getitem__(self, number):
        value = dict.__getitem__(self, number)
        if type(value) is Lost:
            raise value
        return value

    def lose(self, begin, end, name):
        for number in range(begin, end):
            self[number] = Lost("it shares a part with %s, which could not be restored" % name)


class Buffers:
    def __init__(self, file):
        self.file, self.sizes = file, collections.deque()

    def __iter__(self):
        return self

    def __next__(self):
        buffer = bytearray(self.sizes.popleft())
        if self.file.readinto(buffer) != len(buffer):
            raise EOFError("the snapshot is cut off")
        return buffer


class Unpickling(pickle._Unpickler):
    # In pure Python, as dill's pickler is: its memo can be kept right over what fails.
    def find_class(self, module, name):
        if module == "__builtin__" and name == "__main__":
            return sys.modules["__main__"].__dict__
        if module == "__builtin__" and name == "NoneType":
            return type(None)
        return super().find_class("dill._dill" if module == "dill.dill" else module, name)


def mismatches(details, dill):
    import importlib.metadata as metadata

    found = []
    if details["python"] != python():
        found.append("Python was %s and is %s" % (details["python"], python()))
    for name, was in details["packages"].items():
        try:
            now = dill.__version__ if name == "dill" else metadata.version(name)
        except Exception:
            found.append("%s was %s and is not installed" % (name, was))
            continue
        if now != was:
            found.append("%s was %s and is %s" % (name, was, now))
    return found


def restore(path, details):
    path, details = os.fsdecode(base64.b64decode(path)), json.loads(details)
    shell = shell_of()
    dill, missing = dill_or_none()
    if dill is None:
        return answer(missing)
    import importlib

    restored, skipped = [], []
    told = mismatches(details, dill)
    figures = Figures()
    try:
        with open(path, "rb") as file, open(path, "rb") as behind, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, module, below in details["modules"]:
                try:
                    shell.user_ns[name] = importlib.import_module(module)
                except KeyboardInterrupt:
                    raise
                except BaseException as e:
                    skipped.append({"name": name, "reason": reason(e)})
                    continue
                for name in below:
                    try:
                        sys.modules.get(name) or importlib.import_module(name)
                    except Exception:
                        pass
            buffers = Buffers(behind)
            unpickler = Unpickling(file, buffers=buffers)
            unpickler.memo = memo = Memo()
            index = details["index"]
            ends = [entry[-1] for entry in index[1:]] + [details["memo"]]
            for (name, at, after, sizes, known), end in zip(index, ends):
                try:
                    file.seek(at)
                    behind.seek(after)
                    buffers.sizes = collections.deque(sizes)
                    shell.user_ns[name] = unpickler.load()
                    restored.append(name)
                except KeyboardInterrupt:
                    raise
                except BaseException as e:
                    memo.lose(known, end, name)
                    skipped.append({"name": name, "reason": reason(e)})
    except OSError as e:
        return answer({"failed": reason(e)})
    finally:
        figures.put_away()
    return answer({"variables": restored, "skipped": skipped, "warnings": told})


class Figures:
    """A figure that comes back is a variable: pyplot is not to show it with the next cell's."""

    def __init__(self):
        self.inline = sys.modules.get("matplotlib_inline.backend_inline")
        self.was_drawn = getattr(getattr(self.inline, "show", None), "_draw_called", False)
        self.known = set(self.managers())

    def managers(self):
        helpers = sys.modules.get("matplotlib._pylab_helpers")
        return list(helpers.Gcf.figs) if helpers else []

    def put_away(self):
        if self.inline is None:
            self.inline = sys.modules.get("matplotlib_inline.backend_inline")
        if self.inline is None:
            return
        for number in self.managers():
            if number not in self.known:
                sys.modules["matplotlib._pylab_helpers"].Gcf.destroy(number)
        self.inline.show._draw_called = self.was_drawn
