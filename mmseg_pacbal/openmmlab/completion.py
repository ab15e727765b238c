"""Settings that a config leaves open until its data and its backbone are known."""

from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from ..configs import datasets, heads, load_config, set_values, type_class, walk
from ..losses.class_weight import read_class_weight
from .datasets.folder import reads_classes_file
from .timm_backbone import follow_timm

SHIPPED_ROOTS = {'data/VOCdevkit/VOC2012', 'data/camvid', 'data/my_data', 'data/synthetic_voc'}
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def load_complete_config(path: str, options: dict | None = None) -> Config:
    """:func:`.configs.load_config`, then :func:`infer_settings`."""
    cfg = load_config(path, options)
    infer_settings(cfg)
    return cfg


def infer_settings(cfg: Config) -> None:
    """Set what depends on ``data_root``, on ``classes.txt`` and on a timm backbone.

    - ``data_root`` of all data sets, if a config that inherits a shipped one sets it at its top;
    - ``num_classes`` of all heads, if the data is a ``FolderDataset``;
    - ``in_channels`` of all heads and, if necessary, ``out_indices`` and ``output_stride``, if the
      backbone is timm's (:func:`.timm_backbone.follow_timm`).

    The config is changed in place; every change is printed.
    """
    init_default_scope(cfg.get('default_scope', 'mmseg'))
    for _, node in walk(cfg.model):
        if isinstance(name := node.get('class_weight'), str):
            read_class_weight(name)  # losses of MMSegmentation would run a pickle
    _follow_data_root(cfg)
    _follow_classes(cfg)
    follow_timm(cfg)


def _follow_data_root(cfg: Config) -> None:
    """Give an inheriting config's ``data_root`` to data sets that read the shipped folder.

    mmengine has copied the shipped value to them before the inheriting config sets its own.
    """
    root = cfg.get('data_root')
    places = [place for loader in LOADERS for place in datasets(cfg, loader)]
    read = {str(dataset.get('data_root') or '') for _, dataset in places}
    if not root or not read or str(root) in read:
        return
    if read <= SHIPPED_ROOTS:
        set_values(places, 'data_root', root)
    elif not any(path.startswith(str(root)) for path in read):  # else they lie in folders below it
        print(
            f'config: data_root = {root!r} changes nothing, since data sets read '
            f'{", ".join(sorted(read))}; set data_root of each data set'
        )


def _follow_classes(cfg: Config) -> None:
    """Give all heads as many classes as ``classes.txt`` names."""
    first, expected = '', None
    for loader in LOADERS:
        for path, dataset in datasets(cfg, loader):
            names = _names_in_file(cfg, dataset)
            if expected and names and names != expected:
                raise ValueError(
                    f'{first} has the classes {", ".join(expected)}, but {path} has '
                    f'{", ".join(names)}; give both the same classes.txt'
                )
            if names and not expected:
                first, expected = path, names
                set_values(heads(cfg), 'num_classes', len(names))


def _names_in_file(cfg: Config, dataset: ConfigDict) -> tuple[str, ...] | None:
    cls = type_class(DATASETS, dataset)
    if not reads_classes_file(cls):
        return None
    try:
        return cls.classes_of(dataset).names
    except FileNotFoundError:
        if all(head.num_classes for _, head in heads(cfg)):
            return None  # a config that was completed earlier can predict without the data
        raise
