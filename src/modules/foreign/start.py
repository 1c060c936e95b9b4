# Starts a module: puts what it may import from Ansible into place, then runs its file as a program.
import os
import runpy
import sys
import types

HERE = os.path.dirname(os.path.abspath(__file__))


def package(name, **members):
    module = types.ModuleType(name)
    module.__path__ = [os.path.join(HERE, 'module_utils')] if name == 'ansible.module_utils' else []
    module.__dict__.update(members)
    sys.modules[name] = module
    parent, _, last = name.rpartition('.')
    if parent:
        setattr(sys.modules[parent], last, module)
    return module


sys.path.insert(0, HERE)
import xplay_basic as basic  # noqa: E402

TEXT = dict(to_bytes=basic.to_bytes, to_text=basic.to_text, to_native=basic.to_native, jsonify=basic.json.dumps)
package('ansible', __version__='2.19.0')
package('ansible.module_utils')
sys.modules['ansible.module_utils.basic'] = basic
sys.modules['ansible.module_utils'].basic = basic
package('ansible.module_utils._text', **TEXT)
package('ansible.module_utils.common')
package('ansible.module_utils.common.text')
package('ansible.module_utils.common.text.converters', **TEXT)
package('ansible.module_utils.common.process', get_bin_path=lambda arg, *rest, **more: basic.AnsibleModule.get_bin_path(None, arg))
package('ansible.module_utils.parsing')
package('ansible.module_utils.parsing.convert_bool', boolean=basic.boolean, BOOLEANS=basic.BOOLEANS,
        BOOLEANS_TRUE=basic.BOOLEANS_TRUE, BOOLEANS_FALSE=basic.BOOLEANS_FALSE)
package('ansible.module_utils.six', PY2=basic.PY2, PY3=not basic.PY2, string_types=basic.string_types,
        text_type=type(u''), binary_type=bytes, integer_types=(int,), iteritems=lambda d: iter(d.items()))

sys.path.remove(HERE)
program = sys.argv[1]
sys.argv = [program]
runpy.run_path(program, run_name='__main__')
