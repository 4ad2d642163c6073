/* SPDX-License-Identifier: MIT */
/*
 * The kernels by name. k_: XMM, and MMX where elements do not mix; m_: MMX only; i_: shift by an
 * immediate.
 */
#ifndef EMU_CPU_SSE_KERNELS_H
#define EMU_CPU_SSE_KERNELS_H

#include "simd_internal.h"

simd_kernel i_pslld, i_pslldq, i_psllq, i_psllw, i_psrad, i_psraw, i_psrld, i_psrldq, i_psrlq,
    i_psrlw, k_addpd, k_addps, k_addsd, k_addss, k_addsubpd, k_addsubps, k_blendpd, k_blendps,
    k_blendvpd, k_blendvps, k_cmppd, k_cmpps, k_cmpsd, k_cmpss, k_comisd, k_comiss, k_cvtdq2pd,
    k_cvtdq2ps, k_cvtpd2dq, k_cvtpd2ps, k_cvtpi2ps, k_cvtps2dq, k_cvtps2pd, k_cvtps2pi, k_cvtsd2si,
    k_cvtsd2si_64, k_cvtsd2ss, k_cvtsi2sd, k_cvtsi2ss, k_cvtss2sd, k_cvtss2si, k_cvtss2si_64,
    k_cvttpd2dq, k_cvttps2dq, k_cvttps2pi, k_cvttsd2si, k_cvttsd2si_64, k_cvttss2si, k_cvttss2si_64,
    k_divpd, k_divps, k_divsd, k_divss, k_dppd, k_dpps, k_haddpd, k_haddps, k_hsubpd, k_hsubps,
    k_insertps, k_insertps_mem, k_maxpd, k_maxps, k_maxsd, k_maxss, k_minpd, k_minps, k_minsd,
    k_minss, k_movddup, k_movhlps, k_movlhps, k_movlps, k_movmskpd, k_movmskps, k_movshdup,
    k_movsldup, k_mpsadbw, k_mulpd, k_mulps, k_mulsd, k_mulss, k_pabsb, k_pabsd, k_pabsw,
    k_packssdw, k_packsswb, k_packusdw, k_packuswb, k_paddb, k_paddd, k_paddq, k_paddsb, k_paddsw,
    k_paddusb, k_paddusw, k_paddw, k_palignr, k_pand, k_pandn, k_pavgb, k_pavgw, k_pblendvb,
    k_pblendw, k_pcmpeqb, k_pcmpeqd, k_pcmpeqq, k_pcmpeqw, k_pcmpestri, k_pcmpestrm, k_pcmpgtb,
    k_pcmpgtd, k_pcmpgtq, k_pcmpgtw, k_pcmpistri, k_pcmpistrm, k_pextrb, k_pextrd, k_pextrq,
    k_pextrw, k_phaddd, k_phaddsw, k_phaddw, k_phminposuw, k_phsubd, k_phsubsw, k_phsubw, k_pinsrb,
    k_pinsrd, k_pinsrq, k_pinsrw, k_pmaddubsw, k_pmaddwd, k_pmaxsb, k_pmaxsd, k_pmaxsw, k_pmaxub,
    k_pmaxud, k_pmaxuw, k_pminsb, k_pminsd, k_pminsw, k_pminub, k_pminud, k_pminuw, k_pmovmskb,
    k_pmovsxbd, k_pmovsxbq, k_pmovsxbw, k_pmovsxdq, k_pmovsxwd, k_pmovsxwq, k_pmovzxbd, k_pmovzxbq,
    k_pmovzxbw, k_pmovzxdq, k_pmovzxwd, k_pmovzxwq, k_pmuldq, k_pmulhrsw, k_pmulhuw, k_pmulhw,
    k_pmulld, k_pmullw, k_pmuludq, k_por, k_psadbw, k_pshufb, k_pshufd, k_pshufhw, k_pshuflw,
    k_psignb, k_psignd, k_psignw, k_pslld, k_psllq, k_psllw, k_psrad, k_psraw, k_psrld, k_psrlq,
    k_psrlw, k_psubb, k_psubd, k_psubq, k_psubsb, k_psubsw, k_psubusb, k_psubusw, k_psubw, k_ptest,
    k_punpckhbw, k_punpckhdq, k_punpckhqdq, k_punpckhwd, k_punpcklbw, k_punpckldq, k_punpcklqdq,
    k_punpcklwd, k_pxor, k_rcpps, k_rcpss, k_roundpd, k_roundps, k_roundsd, k_roundss, k_rsqrtps,
    k_rsqrtss, k_shufpd, k_shufps, k_sqrt_soft_pd, k_sqrt_soft_ps, k_sqrt_soft_sd, k_sqrt_soft_ss,
    k_sqrtpd, k_sqrtps, k_sqrtsd, k_sqrtss, k_subpd, k_subps, k_subsd, k_subss, k_ucomisd,
    k_ucomiss, m_packssdw, m_packsswb, m_packuswb, m_palignr, m_pextrw, m_phaddd, m_phaddsw,
    m_phaddw, m_phsubd, m_phsubsw, m_phsubw, m_pinsrw, m_pmovmskb, m_pshufb, m_punpckhbw,
    m_punpckhdq, m_punpckhwd, m_punpcklbw, m_punpckldq, m_punpcklwd;

#endif
