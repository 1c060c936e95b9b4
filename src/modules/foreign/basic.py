# What modules written for Ansible import as ansible.module_utils.basic: arguments in, one JSON object out.
# Runs on Python 2.6 and later.
from __future__ import absolute_import, division, print_function

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile

try:
    from shlex import quote as _quote
except ImportError:
    from pipes import quote as _quote

PY2 = sys.version_info[0] == 2
string_types = (basestring,) if PY2 else (str,)  # noqa: F821
BOOLEANS_TRUE = frozenset(('y', 'yes', 'on', '1', 'true', 't', 1, 1.0, True))
BOOLEANS_FALSE = frozenset(('n', 'no', 'off', '0', 'false', 'f', 0, 0.0, False))
BOOLEANS = BOOLEANS_TRUE.union(BOOLEANS_FALSE)
FILE_ATTRIBUTES = {}
SEQUENCETYPE = (list, tuple, set, frozenset)


def to_bytes(obj, encoding='utf-8', errors=None, nonstring='simplerepr'):
    if isinstance(obj, bytes):
        return obj
    text = obj if isinstance(obj, string_types) or (PY2 and isinstance(obj, unicode)) else str(obj)  # noqa: F821
    return text.encode(encoding, 'surrogateescape' if not PY2 else 'replace')


def to_text(obj, encoding='utf-8', errors=None, nonstring='simplerepr'):
    if isinstance(obj, bytes):
        return obj.decode(encoding, 'surrogateescape' if not PY2 else 'replace')
    if PY2:
        return obj if isinstance(obj, unicode) else unicode(obj)  # noqa: F821
    return obj if isinstance(obj, str) else str(obj)


to_native = to_bytes if PY2 else to_text


def boolean(value, strict=True):
    normal = value.lower().strip() if isinstance(value, string_types) else value
    if normal in BOOLEANS_TRUE:
        return True
    if normal in BOOLEANS_FALSE or not strict:
        return False
    raise TypeError("The value '%s' is not a valid boolean." % value)


def env_fallback(*names, **unused):
    for name in names:
        if name in os.environ:
            return os.environ[name]
    raise AnsibleFallbackNotFound()


class AnsibleFallbackNotFound(Exception):
    pass


def missing_required_lib(library, reason=None, url=None):
    text = 'Failed to import the required Python library (%s) on %s\'s Python %s.' % (
        library, os.uname()[1], sys.executable)
    return text + (' This is required %s.' % reason if reason else '') + (' See %s for more info.' % url if url else '')


def get_platform():
    return os.uname()[0]


def get_exception():
    return sys.exc_info()[1]


def remove_values(value, no_log_strings):
    if not no_log_strings:
        return value
    if isinstance(value, dict):
        return dict((k, remove_values(v, no_log_strings)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return [remove_values(v, no_log_strings) for v in value]
    if isinstance(value, string_types):
        for secret in no_log_strings:
            value = value.replace(secret, '********')
    return value


def _as_str(value):
    return value if isinstance(value, string_types) else to_native(str(value))


def _as_list(value):
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, string_types):
        return value.split(',')
    if isinstance(value, (int, float)):
        return [str(value)]
    raise TypeError('%s cannot be converted to a list' % type(value))


def _as_dict(value):
    if isinstance(value, dict):
        return value
    if isinstance(value, string_types):
        if value.startswith('{'):
            return json.loads(value)
        if '=' in value:
            return dict(part.strip().split('=', 1) for part in value.split(','))
    raise TypeError('%s cannot be converted to a dict' % type(value))


def _as_int(value):
    if isinstance(value, bool):
        raise TypeError('%s cannot be converted to an int' % type(value))
    try:
        return int(value)
    except ValueError:
        raise TypeError('"%s" cannot be converted to an int' % (value,))


def _as_json(value):
    return value if isinstance(value, string_types) else json.dumps(value)


_CONVERT = {
    'str': _as_str, 'list': _as_list, 'dict': _as_dict, 'bool': boolean, 'int': _as_int, 'float': float,
    'path': lambda v: os.path.expanduser(os.path.expandvars(_as_str(v))), 'raw': lambda v: v,
    'jsonarg': _as_json, 'json': _as_json, 'bytes': lambda v: v, 'bits': lambda v: v,
}


def _load_params():
    with open(os.environ['XPLAY_MODULE_ARGUMENTS'], 'rb') as source:
        return json.loads(source.read().decode('utf-8'))


class AnsibleModule(object):
    def __init__(self, argument_spec, bypass_checks=False, no_log=False, mutually_exclusive=None,
                 required_together=None, required_one_of=None, add_file_common_args=False,
                 supports_check_mode=False, required_if=None, required_by=None):
        self.argument_spec = dict(argument_spec)
        if add_file_common_args:
            for name in ('mode', 'owner', 'group', 'seuser', 'serole', 'selevel', 'setype', 'attributes'):
                self.argument_spec.setdefault(name, dict(type='raw' if name == 'mode' else 'str'))
            self.argument_spec.setdefault('unsafe_writes', dict(type='bool', default=False))
        self.supports_check_mode = supports_check_mode
        self.params = _load_params()
        internal = dict((k, self.params.pop(k)) for k in list(self.params) if k.startswith('_ansible_'))
        self.check_mode = internal.get('_ansible_check_mode', False)
        self._diff = internal.get('_ansible_diff', False)
        self._verbosity = internal.get('_ansible_verbosity', 0)
        self._name = internal.get('_ansible_module_name', 'module')
        self.no_log = no_log
        self.no_log_values = set()
        self.aliases = {}
        self.cleanup_files = []
        self._warnings = []
        self._deprecations = []
        self._tmpdir = None
        self.run_command_environ_update = {}
        if self.check_mode and not supports_check_mode:
            self.exit_json(skipped=True, msg="remote module (%s) does not support check mode" % self._name)
        self.params = self._checked(self.argument_spec, self.params, '')
        if not bypass_checks:
            self._rules(self.params, mutually_exclusive, required_together, required_one_of, required_if, required_by)

    def _checked(self, spec, given, context):
        where = ' found in ' + context if context else ''
        params = {}
        known = {}
        for name, option in spec.items():
            known[name] = name
            for alias in option.get('aliases') or ():
                known[alias] = name
                self.aliases[alias] = name
        unknown = sorted(k for k in given if k not in known)
        if unknown:
            self.fail_json(msg='Unsupported parameters for (%s) module: %s%s. Supported parameters include: %s.' % (
                self._name, ', '.join(unknown), where, ', '.join(sorted(spec))))
        for name, value in given.items():
            params[known[name]] = value
        for name, option in spec.items():
            if name not in params and option.get('fallback'):
                fallback = option['fallback']
                try:
                    args = fallback[1] if len(fallback) > 1 else ()
                    params[name] = fallback[0](**args) if isinstance(args, dict) else fallback[0](*args)
                except AnsibleFallbackNotFound:
                    pass
        missing = sorted(n for n, o in spec.items() if o.get('required') and n not in params)
        if missing:
            self.fail_json(msg='missing required arguments: %s%s' % (', '.join(missing), where))
        for name, option in spec.items():
            if params.get(name) is None:
                params[name] = option.get('default')
            value = params[name]
            if value is None:
                continue
            wanted = option.get('type') or 'str'
            convert = _CONVERT.get(wanted, wanted)
            try:
                value = convert(value)
                elements = option.get('elements')
                if elements and isinstance(value, list) and elements != 'dict':
                    value = [_CONVERT.get(elements, elements)(v) for v in value]
            except (TypeError, ValueError) as e:
                self.fail_json(msg="argument '%s' is of type %s%s and we were unable to convert to %s: %s" % (
                    name, type(value), where, wanted, to_native(e)))
            inner = option.get('options')
            if inner and wanted == 'dict':
                value = self._checked(inner, value, name)
            elif inner and wanted == 'list':
                value = [self._checked(inner, _as_dict(v), name) for v in value]
            choices = option.get('choices')
            if choices:
                for one in value if isinstance(value, list) else [value]:
                    if one not in choices:
                        self.fail_json(msg='value of %s must be one of: %s, got: %s%s' % (
                            name, ', '.join(to_native(str(c)) for c in choices), one, where))
            if option.get('no_log') and isinstance(value, string_types) and value:
                self.no_log_values.add(value)
            params[name] = value
        return params

    def _rules(self, params, exclusive, together, one_of, required_if, required_by):
        def has(name):
            return params.get(name) is not None
        for group in exclusive or ():
            group = [group] if isinstance(group, string_types) else group
            if sum(1 for n in group if has(n)) > 1:
                self.fail_json(msg='parameters are mutually exclusive: %s' % '|'.join(group))
        for group in together or ():
            if any(has(n) for n in group) and not all(has(n) for n in group):
                self.fail_json(msg='parameters are required together: %s' % ', '.join(group))
        for group in one_of or ():
            if not any(has(n) for n in group):
                self.fail_json(msg='one of the following is required: %s' % ', '.join(group))
        for rule in required_if or ():
            lacking = [n for n in rule[2] if not has(n)]
            some = len(rule) > 3 and rule[3]
            if params.get(rule[0]) == rule[1] and (len(lacking) == len(rule[2]) if some else lacking):
                self.fail_json(msg='%s is %s but %s of the following are missing: %s' % (
                    rule[0], rule[1], 'any' if some else 'all', ', '.join(lacking)))
        for name, needs in (required_by or {}).items():
            needs = [needs] if isinstance(needs, string_types) else needs
            lacking = [n for n in needs if not has(n)]
            if has(name) and lacking:
                self.fail_json(msg="missing parameter(s) required by '%s': %s" % (name, ', '.join(lacking)))

    @property
    def tmpdir(self):
        if self._tmpdir is None:
            self._tmpdir = tempfile.mkdtemp(prefix='.xplay-module-')
        return self._tmpdir

    def _end(self, result, code):
        for path in self.cleanup_files:
            try:
                os.unlink(path)
            except OSError:
                pass
        if self._tmpdir:
            shutil.rmtree(self._tmpdir, ignore_errors=True)
        if 'invocation' not in result:
            result['invocation'] = {'module_args': self.params}
        if self._warnings or result.get('warnings'):
            more = result.get('warnings') or []
            result['warnings'] = self._warnings + (list(more) if isinstance(more, SEQUENCETYPE) else [more])
        if self._deprecations:
            result['deprecations'] = self._deprecations
        print('\n' + self.jsonify(remove_values(result, self.no_log_values)))
        sys.exit(code)

    def exit_json(self, **result):
        result.setdefault('changed', False)
        self._end(result, 0)

    def fail_json(self, msg, **result):
        result.update(failed=True, msg=msg)
        self._end(result, 1)

    def warn(self, warning):
        self._warnings.append(to_native(warning))

    def deprecate(self, msg, version=None, date=None, collection_name=None):
        self._deprecations.append({'msg': msg, 'version': version})

    def log(self, msg, log_args=None):
        pass

    def debug(self, msg):
        pass

    def jsonify(self, data):
        def plain(value):
            if isinstance(value, (set, frozenset)):
                return list(value)
            return to_text(value)
        return json.dumps(data, default=plain)

    def from_json(self, data):
        return json.loads(data)

    def boolean(self, value):
        return boolean(value)

    def get_bin_path(self, arg, required=False, opt_dirs=None):
        dirs = list(opt_dirs or []) + os.environ.get('PATH', '').split(os.pathsep) + ['/sbin', '/usr/sbin', '/usr/local/sbin']
        for folder in dirs:
            path = os.path.join(folder, arg)
            if folder and os.path.isfile(path) and os.access(path, os.X_OK):
                return path
        if required:
            self.fail_json(msg='Failed to find required executable "%s" in paths: %s' % (arg, os.pathsep.join(dirs)))
        return None

    def run_command(self, args, check_rc=False, close_fds=True, executable=None, data=None, binary_data=False,
                    path_prefix=None, cwd=None, use_unsafe_shell=False, prompt_regex=None, environ_update=None,
                    umask=None, encoding='utf-8', errors=None, expand_user_and_vars=True, pass_fds=None,
                    before_communicate_callback=None, ignore_invalid_cwd=True, handle_exceptions=True):
        import shlex
        if not isinstance(args, (list, tuple)):
            args = args if use_unsafe_shell else shlex.split(to_native(args))
        if not use_unsafe_shell and expand_user_and_vars:
            args = [os.path.expanduser(os.path.expandvars(to_native(a))) for a in args]
        elif use_unsafe_shell and isinstance(args, (list, tuple)):
            args = ' '.join(_quote(to_native(a)) for a in args)
        env = os.environ.copy()
        env.update(self.run_command_environ_update)
        env.update(environ_update or {})
        if path_prefix:
            env['PATH'] = path_prefix + os.pathsep + env.get('PATH', '')
        if data is not None and not binary_data:
            data = to_bytes(data) + (b'' if to_bytes(data).endswith(b'\n') else b'\n')
        try:
            child = subprocess.Popen(args, shell=use_unsafe_shell, executable=executable if use_unsafe_shell else None,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                                     cwd=cwd if cwd and os.path.isdir(cwd) else None, close_fds=close_fds)
            out, err = child.communicate(data)
            code = child.returncode
        except (OSError, IOError) as e:
            if not handle_exceptions:
                raise
            self.fail_json(rc=e.errno, stdout='', stderr='', msg='Error executing command: %s' % to_native(e), cmd=args)
        if encoding is not None:
            out, err = to_native(out), to_native(err)
        if check_rc and code != 0:
            self.fail_json(cmd=args, rc=code, stdout=out, stderr=err, msg=err.rstrip())
        return code, out, err

    def digest_from_file(self, filename, algorithm):
        if not os.path.exists(filename):
            return None
        digest = hashlib.new(algorithm)
        with open(filename, 'rb') as source:
            for block in iter(lambda: source.read(65536), b''):
                digest.update(block)
        return digest.hexdigest()

    def md5(self, filename):
        return self.digest_from_file(filename, 'md5')

    def sha1(self, filename):
        return self.digest_from_file(filename, 'sha1')

    def sha256(self, filename):
        return self.digest_from_file(filename, 'sha256')

    def backup_local(self, fn):
        import time
        if not os.path.exists(fn):
            return ''
        copy = '%s.%s.%s~' % (fn, os.getpid(), time.strftime('%Y-%m-%d@%H:%M:%S~'))
        shutil.copy2(fn, copy)
        return copy

    def cleanup(self, tmpfile):
        if os.path.exists(tmpfile):
            os.unlink(tmpfile)

    def add_cleanup_file(self, path):
        if path not in self.cleanup_files:
            self.cleanup_files.append(path)

    def atomic_move(self, src, dest, unsafe_writes=False, keep_dest_attrs=True):
        if os.path.exists(dest) and keep_dest_attrs:
            before = os.stat(dest)
            os.chmod(src, stat.S_IMODE(before.st_mode))
            try:
                os.chown(src, before.st_uid, before.st_gid)
            except OSError:
                pass
        try:
            os.rename(src, dest)
        except OSError:
            beside = tempfile.NamedTemporaryFile(dir=os.path.dirname(dest) or '.', prefix='.xplay', delete=False)
            beside.close()
            shutil.copy2(src, beside.name)
            os.rename(beside.name, dest)
            os.unlink(src)

    def load_file_common_arguments(self, params, path=None):
        names = ('mode', 'owner', 'group', 'seuser', 'serole', 'selevel', 'setype', 'attributes')
        found = dict((n, params.get(n)) for n in names)
        found['path'] = path or params.get('path') or params.get('dest')
        return found

    def set_mode_if_different(self, path, mode, changed, diff=None, expand=True):
        if mode is None:
            return changed
        wanted = mode if isinstance(mode, int) else int(mode, 8)
        if stat.S_IMODE(os.lstat(path).st_mode) == wanted:
            return changed
        if not self.check_mode:
            os.chmod(path, wanted)
        return True

    def set_owner_if_different(self, path, owner, changed, diff=None, expand=True):
        if owner is None:
            return changed
        import pwd
        uid = int(owner) if str(owner).isdigit() else pwd.getpwnam(owner).pw_uid
        if os.lstat(path).st_uid == uid:
            return changed
        if not self.check_mode:
            os.lchown(path, uid, -1)
        return True

    def set_group_if_different(self, path, group, changed, diff=None, expand=True):
        if group is None:
            return changed
        import grp
        gid = int(group) if str(group).isdigit() else grp.getgrnam(group).gr_gid
        if os.lstat(path).st_gid == gid:
            return changed
        if not self.check_mode:
            os.lchown(path, -1, gid)
        return True

    def set_fs_attributes_if_different(self, file_args, changed, diff=None, expand=True):
        path = file_args['path']
        changed = self.set_owner_if_different(path, file_args.get('owner'), changed, diff)
        changed = self.set_group_if_different(path, file_args.get('group'), changed, diff)
        return self.set_mode_if_different(path, file_args.get('mode'), changed, diff)

    set_file_attributes_if_different = set_fs_attributes_if_different
    set_directory_attributes_if_different = set_fs_attributes_if_different
