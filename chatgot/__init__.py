__version__ = "0.1.0"

import warnings

# The rooms, each of which may import only those before it (text, vision and audio don't import each other either)
ROOMS = ('core', 'text', 'vision', 'audio', 'models', 'generate', 'train', 'align', 'evaluate', 'export', 'ops', 'lab', 'serve', 'cli', 'bench')

# fastai still uses torch.jit.script, of which PyTorch warns at import; nobody who trains a model can act on that
warnings.filterwarnings('ignore', '.*torch.jit.script', FutureWarning)
