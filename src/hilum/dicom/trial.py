"""Whether the codecs work here: a small known image, decoded by each.

The image is 32 x 32 of 16 bits, 9 * (row + column), compressed without loss by DCMTK
(JPEG), CharLS (JPEG-LS), OpenJPEG (JPEG 2000) and pydicom (RLE).
"""

from __future__ import annotations

import base64
import zlib
from typing import get_args

from hilum.dicom.decoders import Decoder
from hilum.dicom.elements import DamagedError
from hilum.dicom.fragments import Codec, Codestream

_SIZE = 32
_FRAMES: dict[Codec, str] = {
    "jpeg": (
        "c-s4a<NpH&0WUXCHwH#V1_nkTWcYuWfm?t<fkA<hQIO&P5e8AP6f$5D_<xImgAuHH(v+o|"
        "UO}V8C@~;}|Nol+e1Z%Z"
    ),
    "jpeg-ls": (
        "c-s4a<NtRCZXN~&1_ee&L5Bag7&sUi8GvBL#l?2FUe4?JoxQB;+SWPGE$`mFbLP@gr`KAG"
        "t}WH{^jZZ1i<Fe6xJ>d?fg&#<i14b_tM>n||9Ad>{r}o{AW>xxB+7ue{x*p42Z@7(N<h5J"
        "AVMEV)ByGTF9q?|gA@Si|JfiO*aQ&cI*_QtRFn+j$peWB5aT#V5y<d@|2G)`PWFfW"
    ),
    "jpeg-2000": (
        "c-s5#|38pHlK})2pcn>F`Hb9*jQ@iectA`BRu&cp#{V%4!VU=;83oAbe+q*t1EX_MYGO%h"
        "ib7JQf`373o>zdYyFyuNQE_H|o`R8{sh-jQ2@G6dWAlLKOg{gFhqIynz#oPMbqo$no0&Er"
        "s9i8YK0|@$f8u#=o8<Ec>=s0@U*S=bJeA?kT)#!{fBgY@iwfrFd}a%0?Fy-ow_RqU|1)I$"
        "0saXt3_n>K;+G%qSirlXe(oAgM~1@^Z2bRkG5`RE^G7l"
    ),
    "rle": (
        "c-o!GtuusS00i*eXGS0h1c8|q2m(P+1cIOlil7LJpa_bf2#TNxil7LJpa_a^MNkAqFyr3)"
        "{{Fsu&pCg=&e)mVnVnw%us&=8|I0Uim_(luVy4hz8eL}4VHR!X&|)4<7SLc3b(T<L8C6zL"
        "VHIW8P+}cLHc(&_dA5*a8(DUcVHaukkYbF8eI)raEW%*8gMhyulI(|waY(TjgwcuVxy6;W"
        "&F$U&!{gKQ%j?_w$LGY`$5*x%kBm>r_^gaC$oR61ugds_jBm;Kj*Rcg_<@Wc$@qzkpUL=z"
        "j9<z4jf~&P_=Ai;$@q(mzsmT#jDN~_B;zF+Z_7Akd`!kCWqd})=Vg597lEQYb^"
    ),
}


def try_codecs() -> dict[Codec, str | None]:
    """Decode a known image by each codec.

    Returns:
        Codec to what is wrong with it, or None.
    """
    return {codec: _try(codec) for codec in get_args(Codec)}


def _try(codec: Codec) -> str | None:
    frame = zlib.decompress(base64.b85decode(_FRAMES[codec]))
    stream = Codestream(codec, _SIZE, _SIZE, components=1, precision=16)
    decoder = Decoder(_SIZE * _SIZE)
    try:
        pixels = decoder.decode(frame, stream, (_SIZE, _SIZE), 2)
    except (DamagedError, ImportError) as error:
        return str(error)
    finally:
        decoder.stop()
    wanted = b"".join(
        (9 * (row + column)).to_bytes(2, "little")
        for row in range(_SIZE)
        for column in range(_SIZE)
    )
    return None if pixels == wanted else "it gives other pixels than it should"
