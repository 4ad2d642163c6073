/* SPDX-License-Identifier: MIT */
/*
 * The PC board as ACPI describes it to a guest (ACPI 6.4, chapters 6 and 19).
 *
 * The addresses agree with the devices' headers and with the FADT and MADT in acpi_tables.c. All is
 * static but the PIRQ links, which read and write the PIIX3's route registers. GSIs have the numbers
 * of ISA interrupts, so links serve PIC and APIC mode alike.
 *
 * dsdt_aml.c holds this file compiled; `meson compile dsdt` makes it anew, and a test compares.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "DEJA", "DEJAPC", 0x00000001)
{
    /* Soft-off: SLP_TYP 0 for both PM1 blocks. */
    Name (\_S5, Package (0x04) { Zero, Zero, Zero, Zero })

    Scope (\_SB)
    {
        Device (PCI0)
        {
            Name (_HID, EisaId ("PNP0A03"))
            Name (_UID, Zero)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    0x0000, 0x0000, 0x00FF, 0x0000, 0x0100)
                IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000, 0x0000, 0x0CF7, 0x0000, 0x0CF8)
                WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
                    0x0000, 0x0D00, 0xFFFF, 0x0000, 0xF300)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0x00000000, 0x000A0000, 0x000BFFFF, 0x00000000, 0x00020000)
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
                    0x00000000, 0xC0000000, 0xFEBFFFFF, 0x00000000, 0x3EC00000)
            })

            /* Slot s, pin p goes to link (s - 1 + p) mod 4. */
            Name (_PRT, Package ()
            {
                Package () { 0x0001FFFF, 0, \_SB.LNKA, 0 },
                Package () { 0x0001FFFF, 1, \_SB.LNKB, 0 },
                Package () { 0x0001FFFF, 2, \_SB.LNKC, 0 },
                Package () { 0x0001FFFF, 3, \_SB.LNKD, 0 },
                Package () { 0x0002FFFF, 0, \_SB.LNKB, 0 },
                Package () { 0x0002FFFF, 1, \_SB.LNKC, 0 },
                Package () { 0x0002FFFF, 2, \_SB.LNKD, 0 },
                Package () { 0x0002FFFF, 3, \_SB.LNKA, 0 },
                Package () { 0x0003FFFF, 0, \_SB.LNKC, 0 },
                Package () { 0x0003FFFF, 1, \_SB.LNKD, 0 },
                Package () { 0x0003FFFF, 2, \_SB.LNKA, 0 },
                Package () { 0x0003FFFF, 3, \_SB.LNKB, 0 },
                Package () { 0x0004FFFF, 0, \_SB.LNKD, 0 },
                Package () { 0x0004FFFF, 1, \_SB.LNKA, 0 },
                Package () { 0x0004FFFF, 2, \_SB.LNKB, 0 },
                Package () { 0x0004FFFF, 3, \_SB.LNKC, 0 },
                Package () { 0x0005FFFF, 0, \_SB.LNKA, 0 },
                Package () { 0x0005FFFF, 1, \_SB.LNKB, 0 },
                Package () { 0x0005FFFF, 2, \_SB.LNKC, 0 },
                Package () { 0x0005FFFF, 3, \_SB.LNKD, 0 },
                Package () { 0x0006FFFF, 0, \_SB.LNKB, 0 },
                Package () { 0x0006FFFF, 1, \_SB.LNKC, 0 },
                Package () { 0x0006FFFF, 2, \_SB.LNKD, 0 },
                Package () { 0x0006FFFF, 3, \_SB.LNKA, 0 },
                Package () { 0x0007FFFF, 0, \_SB.LNKC, 0 },
                Package () { 0x0007FFFF, 1, \_SB.LNKD, 0 },
                Package () { 0x0007FFFF, 2, \_SB.LNKA, 0 },
                Package () { 0x0007FFFF, 3, \_SB.LNKB, 0 },
                Package () { 0x0008FFFF, 0, \_SB.LNKD, 0 },
                Package () { 0x0008FFFF, 1, \_SB.LNKA, 0 },
                Package () { 0x0008FFFF, 2, \_SB.LNKB, 0 },
                Package () { 0x0008FFFF, 3, \_SB.LNKC, 0 },
                Package () { 0x0009FFFF, 0, \_SB.LNKA, 0 },
                Package () { 0x0009FFFF, 1, \_SB.LNKB, 0 },
                Package () { 0x0009FFFF, 2, \_SB.LNKC, 0 },
                Package () { 0x0009FFFF, 3, \_SB.LNKD, 0 },
                Package () { 0x000AFFFF, 0, \_SB.LNKB, 0 },
                Package () { 0x000AFFFF, 1, \_SB.LNKC, 0 },
                Package () { 0x000AFFFF, 2, \_SB.LNKD, 0 },
                Package () { 0x000AFFFF, 3, \_SB.LNKA, 0 },
                Package () { 0x000BFFFF, 0, \_SB.LNKC, 0 },
                Package () { 0x000BFFFF, 1, \_SB.LNKD, 0 },
                Package () { 0x000BFFFF, 2, \_SB.LNKA, 0 },
                Package () { 0x000BFFFF, 3, \_SB.LNKB, 0 },
                Package () { 0x000CFFFF, 0, \_SB.LNKD, 0 },
                Package () { 0x000CFFFF, 1, \_SB.LNKA, 0 },
                Package () { 0x000CFFFF, 2, \_SB.LNKB, 0 },
                Package () { 0x000CFFFF, 3, \_SB.LNKC, 0 },
                Package () { 0x000DFFFF, 0, \_SB.LNKA, 0 },
                Package () { 0x000DFFFF, 1, \_SB.LNKB, 0 },
                Package () { 0x000DFFFF, 2, \_SB.LNKC, 0 },
                Package () { 0x000DFFFF, 3, \_SB.LNKD, 0 },
                Package () { 0x000EFFFF, 0, \_SB.LNKB, 0 },
                Package () { 0x000EFFFF, 1, \_SB.LNKC, 0 },
                Package () { 0x000EFFFF, 2, \_SB.LNKD, 0 },
                Package () { 0x000EFFFF, 3, \_SB.LNKA, 0 },
                Package () { 0x000FFFFF, 0, \_SB.LNKC, 0 },
                Package () { 0x000FFFFF, 1, \_SB.LNKD, 0 },
                Package () { 0x000FFFFF, 2, \_SB.LNKA, 0 },
                Package () { 0x000FFFFF, 3, \_SB.LNKB, 0 },
                Package () { 0x0010FFFF, 0, \_SB.LNKD, 0 },
                Package () { 0x0010FFFF, 1, \_SB.LNKA, 0 },
                Package () { 0x0010FFFF, 2, \_SB.LNKB, 0 },
                Package () { 0x0010FFFF, 3, \_SB.LNKC, 0 },
                Package () { 0x0011FFFF, 0, \_SB.LNKA, 0 },
                Package () { 0x0011FFFF, 1, \_SB.LNKB, 0 },
                Package () { 0x0011FFFF, 2, \_SB.LNKC, 0 },
                Package () { 0x0011FFFF, 3, \_SB.LNKD, 0 },
                Package () { 0x0012FFFF, 0, \_SB.LNKB, 0 },
                Package () { 0x0012FFFF, 1, \_SB.LNKC, 0 },
                Package () { 0x0012FFFF, 2, \_SB.LNKD, 0 },
                Package () { 0x0012FFFF, 3, \_SB.LNKA, 0 },
                Package () { 0x0013FFFF, 0, \_SB.LNKC, 0 },
                Package () { 0x0013FFFF, 1, \_SB.LNKD, 0 },
                Package () { 0x0013FFFF, 2, \_SB.LNKA, 0 },
                Package () { 0x0013FFFF, 3, \_SB.LNKB, 0 },
                Package () { 0x0014FFFF, 0, \_SB.LNKD, 0 },
                Package () { 0x0014FFFF, 1, \_SB.LNKA, 0 },
                Package () { 0x0014FFFF, 2, \_SB.LNKB, 0 },
                Package () { 0x0014FFFF, 3, \_SB.LNKC, 0 },
                Package () { 0x0015FFFF, 0, \_SB.LNKA, 0 },
                Package () { 0x0015FFFF, 1, \_SB.LNKB, 0 },
                Package () { 0x0015FFFF, 2, \_SB.LNKC, 0 },
                Package () { 0x0015FFFF, 3, \_SB.LNKD, 0 },
                Package () { 0x0016FFFF, 0, \_SB.LNKB, 0 },
                Package () { 0x0016FFFF, 1, \_SB.LNKC, 0 },
                Package () { 0x0016FFFF, 2, \_SB.LNKD, 0 },
                Package () { 0x0016FFFF, 3, \_SB.LNKA, 0 },
                Package () { 0x0017FFFF, 0, \_SB.LNKC, 0 },
                Package () { 0x0017FFFF, 1, \_SB.LNKD, 0 },
                Package () { 0x0017FFFF, 2, \_SB.LNKA, 0 },
                Package () { 0x0017FFFF, 3, \_SB.LNKB, 0 },
                Package () { 0x0018FFFF, 0, \_SB.LNKD, 0 },
                Package () { 0x0018FFFF, 1, \_SB.LNKA, 0 },
                Package () { 0x0018FFFF, 2, \_SB.LNKB, 0 },
                Package () { 0x0018FFFF, 3, \_SB.LNKC, 0 },
                Package () { 0x0019FFFF, 0, \_SB.LNKA, 0 },
                Package () { 0x0019FFFF, 1, \_SB.LNKB, 0 },
                Package () { 0x0019FFFF, 2, \_SB.LNKC, 0 },
                Package () { 0x0019FFFF, 3, \_SB.LNKD, 0 },
                Package () { 0x001AFFFF, 0, \_SB.LNKB, 0 },
                Package () { 0x001AFFFF, 1, \_SB.LNKC, 0 },
                Package () { 0x001AFFFF, 2, \_SB.LNKD, 0 },
                Package () { 0x001AFFFF, 3, \_SB.LNKA, 0 },
                Package () { 0x001BFFFF, 0, \_SB.LNKC, 0 },
                Package () { 0x001BFFFF, 1, \_SB.LNKD, 0 },
                Package () { 0x001BFFFF, 2, \_SB.LNKA, 0 },
                Package () { 0x001BFFFF, 3, \_SB.LNKB, 0 },
                Package () { 0x001CFFFF, 0, \_SB.LNKD, 0 },
                Package () { 0x001CFFFF, 1, \_SB.LNKA, 0 },
                Package () { 0x001CFFFF, 2, \_SB.LNKB, 0 },
                Package () { 0x001CFFFF, 3, \_SB.LNKC, 0 },
                Package () { 0x001DFFFF, 0, \_SB.LNKA, 0 },
                Package () { 0x001DFFFF, 1, \_SB.LNKB, 0 },
                Package () { 0x001DFFFF, 2, \_SB.LNKC, 0 },
                Package () { 0x001DFFFF, 3, \_SB.LNKD, 0 },
                Package () { 0x001EFFFF, 0, \_SB.LNKB, 0 },
                Package () { 0x001EFFFF, 1, \_SB.LNKC, 0 },
                Package () { 0x001EFFFF, 2, \_SB.LNKD, 0 },
                Package () { 0x001EFFFF, 3, \_SB.LNKA, 0 },
                Package () { 0x001FFFFF, 0, \_SB.LNKC, 0 },
                Package () { 0x001FFFFF, 1, \_SB.LNKD, 0 },
                Package () { 0x001FFFFF, 2, \_SB.LNKA, 0 },
                Package () { 0x001FFFFF, 3, \_SB.LNKB, 0 }
            })

            Device (ISA)
            {
                Name (_ADR, 0x00010000)
                OperationRegion (P40C, PCI_Config, 0x60, 0x04)
                Field (P40C, ByteAcc, NoLock, Preserve)
                {
                    PRQA, 8,
                    PRQB, 8,
                    PRQC, 8,
                    PRQD, 8
                }

                Device (PIC)
                {
                    Name (_HID, EisaId ("PNP0000"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0020, 0x0020, 0x00, 0x02)
                        IO (Decode16, 0x00A0, 0x00A0, 0x00, 0x02)
                        IO (Decode16, 0x04D0, 0x04D0, 0x00, 0x02)
                        IRQNoFlags () { 2 }
                    })
                }

                Device (TIMR)
                {
                    Name (_HID, EisaId ("PNP0100"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0040, 0x0040, 0x00, 0x04)
                        IRQNoFlags () { 0 }
                    })
                }

                Device (RTC)
                {
                    Name (_HID, EisaId ("PNP0B00"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0070, 0x0070, 0x01, 0x08)
                        IRQNoFlags () { 8 }
                    })
                }

                Device (SPKR)
                {
                    Name (_HID, EisaId ("PNP0800"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0061, 0x0061, 0x00, 0x01)
                    })
                }

                Device (FPU)
                {
                    Name (_HID, EisaId ("PNP0C04"))
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x00F0, 0x00F0, 0x00, 0x01)
                        IRQNoFlags () { 13 }
                    })
                }

                Device (KBD)
                {
                    Name (_HID, EisaId ("PNP0303"))
                    Name (_STA, 0x0F)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0060, 0x0060, 0x01, 0x01)
                        IO (Decode16, 0x0064, 0x0064, 0x01, 0x01)
                        IRQNoFlags () { 1 }
                    })
                }

                Device (COM1)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, One)
                    Name (_STA, 0x0F)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x03F8, 0x03F8, 0x00, 0x08)
                        IRQNoFlags () { 4 }
                    })
                }

                Device (COM2)
                {
                    Name (_HID, EisaId ("PNP0501"))
                    Name (_UID, 0x02)
                    Name (_STA, 0x0F)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x02F8, 0x02F8, 0x00, 0x08)
                        IRQNoFlags () { 3 }
                    })
                }

                Device (PEVT)
                {
                    Name (_HID, "QEMU0001")
                    Name (_STA, 0x0F)
                    Name (_CRS, ResourceTemplate ()
                    {
                        IO (Decode16, 0x0505, 0x0505, 0x01, 0x01)
                    })
                    OperationRegion (PEOR, SystemIO, 0x0505, One)
                    Field (PEOR, ByteAcc, NoLock, Preserve)
                    {
                        PEPT, 8
                    }
                    Method (RDPT, 0, NotSerialized)
                    {
                        Return (PEPT)
                    }
                    Method (WRPT, 1, NotSerialized)
                    {
                        PEPT = Arg0
                    }
                }
            }

            /* What the board decodes and no device above claims: kernels keep off it. */
            Device (MRES)
            {
                Name (_HID, EisaId ("PNP0C02"))
                Name (_UID, One)
                Name (_CRS, ResourceTemplate ()
                {
                    IO (Decode16, 0x0080, 0x0080, 0x00, 0x01)
                    IO (Decode16, 0x0092, 0x0092, 0x00, 0x01)
                    IO (Decode16, 0x00B2, 0x00B2, 0x00, 0x02)
                    IO (Decode16, 0x0600, 0x0600, 0x00, 0x40)
                    IO (Decode16, 0xAFE0, 0xAFE0, 0x00, 0x04)
                })
            }
        }

        /*
         * Bits 3:0 of a route register are the ISA interrupt, bit 7 disconnects it.
         * LSTA, LCRS and LROU serve all four links.
         */
        Method (LSTA, 1, NotSerialized)
        {
            If (Arg0 & 0x80)
            {
                Return (0x09)
            }
            Return (0x0B)
        }

        Name (LBUF, ResourceTemplate ()
        {
            Interrupt (ResourceConsumer, Level, ActiveHigh, Shared, ,, LINT) { 0 }
        })
        CreateDWordField (LBUF, LINT._INT, LIRQ)

        Method (LCRS, 1, Serialized)
        {
            If (Arg0 & 0x80)
            {
                LIRQ = Zero
            }
            Else
            {
                LIRQ = Arg0 & 0x0F
            }
            Return (LBUF)
        }

        Method (LROU, 1, Serialized)
        {
            CreateDWordField (Arg0, 0x05, IRQN)
            Return (IRQN & 0x0F)
        }

        Name (LPRS, ResourceTemplate ()
        {
            Interrupt (ResourceConsumer, Level, ActiveHigh, Shared, ,, ) { 5, 10, 11 }
        })

        Device (LNKA)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 0)
            Method (_STA, 0, NotSerialized)
            {
                Return (LSTA (\_SB.PCI0.ISA.PRQA))
            }
            Method (_DIS, 0, NotSerialized)
            {
                \_SB.PCI0.ISA.PRQA |= 0x80
            }
            Method (_CRS, 0, NotSerialized)
            {
                Return (LCRS (\_SB.PCI0.ISA.PRQA))
            }
            Method (_PRS, 0, NotSerialized)
            {
                Return (LPRS)
            }
            Method (_SRS, 1, NotSerialized)
            {
                \_SB.PCI0.ISA.PRQA = LROU (Arg0)
            }
        }

        Device (LNKB)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 1)
            Method (_STA, 0, NotSerialized)
            {
                Return (LSTA (\_SB.PCI0.ISA.PRQB))
            }
            Method (_DIS, 0, NotSerialized)
            {
                \_SB.PCI0.ISA.PRQB |= 0x80
            }
            Method (_CRS, 0, NotSerialized)
            {
                Return (LCRS (\_SB.PCI0.ISA.PRQB))
            }
            Method (_PRS, 0, NotSerialized)
            {
                Return (LPRS)
            }
            Method (_SRS, 1, NotSerialized)
            {
                \_SB.PCI0.ISA.PRQB = LROU (Arg0)
            }
        }

        Device (LNKC)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 2)
            Method (_STA, 0, NotSerialized)
            {
                Return (LSTA (\_SB.PCI0.ISA.PRQC))
            }
            Method (_DIS, 0, NotSerialized)
            {
                \_SB.PCI0.ISA.PRQC |= 0x80
            }
            Method (_CRS, 0, NotSerialized)
            {
                Return (LCRS (\_SB.PCI0.ISA.PRQC))
            }
            Method (_PRS, 0, NotSerialized)
            {
                Return (LPRS)
            }
            Method (_SRS, 1, NotSerialized)
            {
                \_SB.PCI0.ISA.PRQC = LROU (Arg0)
            }
        }

        Device (LNKD)
        {
            Name (_HID, EisaId ("PNP0C0F"))
            Name (_UID, 3)
            Method (_STA, 0, NotSerialized)
            {
                Return (LSTA (\_SB.PCI0.ISA.PRQD))
            }
            Method (_DIS, 0, NotSerialized)
            {
                \_SB.PCI0.ISA.PRQD |= 0x80
            }
            Method (_CRS, 0, NotSerialized)
            {
                Return (LCRS (\_SB.PCI0.ISA.PRQD))
            }
            Method (_PRS, 0, NotSerialized)
            {
                Return (LPRS)
            }
            Method (_SRS, 1, NotSerialized)
            {
                \_SB.PCI0.ISA.PRQD = LROU (Arg0)
            }
        }
    }
}
