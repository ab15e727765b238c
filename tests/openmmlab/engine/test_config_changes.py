"""Settings that differ from those of a checkpoint are named; its text is never executed."""

from mmseg_pacbal.openmmlab.engine import changed_settings


def test_settings_that_changed():
    saved = """
crop_size = (161, 161)
hooks = [dict(type='A', interval=5), dict(type='B')]
model = dict(head=dict({'a b': 1, 'c': dict(d=[1, 2])}, loss=dict(beta=0.5)), name='x')
"""
    now = saved.replace('161, 161', '321, 321').replace('interval=5', 'interval=7')
    assert changed_settings(saved, now + 'extra = None\n') == [
        'crop_size: (161, 161) -> (321, 321)',
        'hooks.0.interval: 5 -> 7',
        'extra: not set -> None',
    ]
    assert changed_settings(saved, saved.replace('beta=0.5, ', '').replace("name='x'", ''))
    assert changed_settings(saved, saved) == []
    assert changed_settings('no config, but words', now) == []
    assert changed_settings('__import__("os").abort()', now)  # is not executed
