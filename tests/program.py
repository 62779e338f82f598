"Processes forked from one that has imported PyTorch already: dozens of them would spend most of their time importing it"
import multiprocessing
import os
import signal
import sys

os.environ.setdefault('OMP_NUM_THREADS', '1')
CONTEXT = multiprocessing.get_context('forkserver')
CONTEXT.set_forkserver_preload(['chatgot.__main__', 'chatgot.train.run', 'nbdev.test', 'pytest', 'program'])


def fork(function, *args):
    "Start a function of this file in a process of its own"
    p = CONTEXT.Process(target=function, args=args)
    p.start()
    return p


def cli(cwd, args, env, terminal=None):
    "`chatgot ARGS`; what it prints is added to the files `out` and `err` in its folder, or appears in a terminal"
    from chatgot.__main__ import main
    os.chdir(cwd)
    os.environ.update(env)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would a child
    for fd, name in ((0, terminal or os.devnull), (1, terminal or 'out'), (2, terminal or 'err')):
        os.dup2(os.open(name, os.O_RDWR if terminal or not fd else os.O_CREAT | os.O_WRONLY | os.O_APPEND), fd)
    sys.stdin, sys.stdout, sys.stderr = (open(fd, 'w' if fd else 'r', buffering=1, encoding='utf-8', closefd=False) for fd in range(3))
    sys.argv = ['chatgot', *args]
    main()


def chapter(nb, out):
    "Test a notebook as `nbdev_test` does, with all that is printed in the file `out`"
    from nbdev.config import get_config
    from nbdev.test import test_nb
    for fd in (1, 2): os.dup2(os.open(out, os.O_CREAT | os.O_WRONLY | os.O_APPEND), fd)
    cfg = get_config(path=nb.parent)
    sys.exit(not test_nb(nb, cfg.tst_flags.split(), basepath=cfg.config_path)[0])
