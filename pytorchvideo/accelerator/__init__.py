# SPDX-License-Identifier: Apache-2.0
"""Efficient blocks and deployment of models.

A model of efficient blocks (``pytorchvideo.layers.accelerator.mobile_cpu``, or a whole one,
``EfficientX3d``) is trained in its original form. Any other model gets such blocks in the place of its convolutions:

>>> import torch
>>> from pytorchvideo.models.resnet import create_resnet
>>> import pytorchvideo.accelerator.deployment.mobile_cpu.transmuter
>>> from pytorchvideo.accelerator.deployment.common.model_transmuter import transmute_model
>>> model = create_resnet(model_num_class=5, stem_dim_out=4, head_pool_kernel_size=(1, 1, 1)).eval()
>>> transmute_model(model, target_device="mobile_cpu")

Then it is converted with a sample of its input, and exported:

>>> from pytorchvideo.accelerator.deployment.mobile_cpu.utils.model_conversion import (
...     convert_to_deployable_form,
... )
>>> clip = torch.rand(1, 3, 2, 32, 32)
>>> deployable = convert_to_deployable_form(model, clip)
>>> exported = torch.export.export(deployable, (clip,))
>>> torch.allclose(exported.module()(clip), model(clip), atol=1e-4)
True

The result can be quantised to int8 as it is.
"""
