using Serverless.Inference.Models;
using Shouldly;

namespace Serverless.Tests.Inference.Models;

public sealed class KeyValuePoolTests
{
    [Fact]
    public void Pages_are_taken_as_tokens_need_them_and_given_back_whole()
    {
        using var pool = new KeyValuePool(SharedModel.Model.Config, 4 * KeyValuePage.Tokens);
        List<KeyValuePage> one = [], two = [];

        pool.TryGrow(one, 1).ShouldBeTrue();
        pool.TryGrow(one, KeyValuePage.Tokens).ShouldBeTrue();
        one.Count.ShouldBe(1);
        pool.TryGrow(two, (3 * KeyValuePage.Tokens) + 1).ShouldBeFalse();
        two.ShouldBeEmpty("nothing is taken of what is not enough");
        pool.TryGrow(two, 3 * KeyValuePage.Tokens).ShouldBeTrue();
        (pool.Used, pool.Available).ShouldBe((4, 0));
        one.Concat(two).Distinct().Count().ShouldBe(4);

        pool.Return(two);
        (two.Count, pool.Used, pool.Available).ShouldBe((0, 1, 3));
        pool.TryGrow(one, 4 * KeyValuePage.Tokens).ShouldBeTrue();
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 1)]
    [InlineData(32, 1)]
    [InlineData(33, 2)]
    public void A_begun_page_is_a_page(int tokens, int pages) => KeyValuePool.Pages(tokens).ShouldBe(pages);

    [Fact]
    public void What_was_sealed_is_found_again_and_shared_until_nobody_holds_it()
    {
        using var pool = new KeyValuePool(SharedModel.Model.Config, 6 * KeyValuePage.Tokens);
        var text = Text(0, 70);
        var first = Filled(pool, text);

        List<KeyValuePage> second = [];
        pool.Match(text, second).ShouldBe(64);
        second.ShouldBe(first[..2]);
        pool.Used.ShouldBe(3);
        pool.Match(Text(0, 63), []).ShouldBe(32);

        pool.Return(first);
        (pool.Used, pool.Resting).ShouldBe((2, 0));
        pool.Return(second);
        List<KeyValuePage> third = [];
        pool.Match([.. Text(0, 32), .. Text(500, 60)], third).ShouldBe(32, "they part after a page");
    }

    [Fact]
    public void Equal_pages_become_one()
    {
        using var pool = new KeyValuePool(SharedModel.Model.Config, 6 * KeyValuePage.Tokens);
        var one = Filled(pool, Text(0, 64));
        var two = Filled(pool, Text(0, 64));

        two.ShouldBe(one);
        (pool.Used, pool.Available).ShouldBe((2, 4));
    }

    [Fact]
    public void Memory_is_taken_from_what_rested_longest_and_never_from_under_a_page_that_is_known()
    {
        using var pool = new KeyValuePool(SharedModel.Model.Config, 4 * KeyValuePage.Tokens);
        foreach (var begin in new[] { 0, 1000 }) pool.Return(Filled(pool, Text(begin, 64)));
        (pool.Used, pool.Resting).ShouldBe((0, 4));
        List<KeyValuePage> again = [];
        pool.Match(Text(0, 65), again).ShouldBe(64);
        pool.Return(again);

        List<KeyValuePage> taken = [];
        pool.TryGrow(taken, 33).ShouldBeTrue();

        pool.Match(Text(1000, 65), []).ShouldBe(0);
        pool.Match(Text(0, 65), again).ShouldBe(64);
        pool.TryGrow(taken, 65).ShouldBeFalse("what is held is not taken");
    }

    [Fact]
    public void A_page_that_begins_alike_is_known_for_what_is_common()
    {
        using var pool = new KeyValuePool(SharedModel.Model.Config, 4 * KeyValuePage.Tokens);
        var pages = Filled(pool, Text(0, 64));

        var (page, common) = pool.FindLike(pages[..1], [.. Text(32, 20), 9999]);

        page.ShouldBe(pages[1]);
        common.ShouldBe(20);
        pool.FindLike([], [7777]).Page.ShouldBeNull();
    }

    [Theory]
    [InlineData(KeyValueFormat.F16, 1e-3)]
    [InlineData(KeyValueFormat.Q8, 1e-2)]
    public unsafe void What_is_kept_is_read_as_near_as_its_format_has_it(KeyValueFormat format, double error)
    {
        var layout = new KeyValueLayout(SharedModel.Model.Config, format);
        var memory = new byte[layout.PageBytes];
        var size = layout.HeadSize;
        float[] key = [.. Enumerable.Range(0, size).Select(i => MathF.Sin(i) * 3)], value = [.. Enumerable.Range(0, size).Select(i => i == 0 ? 1e9f : i == 1 ? 1e-7f : MathF.Cos(i))];
        if (format == KeyValueFormat.Q8) value[0] = 2;
        fixed (byte* page = memory)
        fixed (float* keys = key, values = value)
        {
            var head = layout.Keys(page, 1, 1);
            layout.Store(head, 5, keys, values);

            for (var i = 0; i < size; i++)
            {
                var read = format == KeyValueFormat.F16 ? (float)((Half*)head)[(i * KeyValuePage.Tokens) + 5] : ((sbyte*)head)[(i * KeyValuePage.Tokens) + 5] * layout.Scales(head)[5];
                ((double)read).ShouldBe(key[i], error * 3);
                if (format == KeyValueFormat.F16) HalfElements.Load((byte*)((Half*)layout.Values(head) + (5 * size) + (i / 8 * 8)))[i % 8].ShouldBe(i == 0 ? 65504 : (float)(Half)value[i]);
                else (((double)ByteElements.Load(layout.Values(head) + (5 * size) + (i / 8 * 8))[i % 8]) * layout.Scales(head)[KeyValuePage.Tokens + 5]).ShouldBe(value[i], error * 2);
            }
        }
    }

    [Fact]
    public unsafe void Every_half_is_read_exactly()
    {
        var halves = stackalloc ushort[8];
        for (var bits = 0; bits < 0x7C00; bits++)
        {
            for (var i = 0; i < 8; i++) halves[i] = (ushort)(i % 2 == 0 ? bits : bits | 0x8000);
            var read = HalfElements.Load((byte*)halves);
            if (read[0] != (float)BitConverter.UInt16BitsToHalf((ushort)bits) || read[7] != -read[0]) Assert.Fail($"0x{bits:X4} reads as {read[0]} and {read[7]}");
        }
    }

    private static int[] Text(int first, int count) => [.. Enumerable.Range(first, count)];

    private static List<KeyValuePage> Filled(KeyValuePool pool, int[] text)
    {
        List<KeyValuePage> pages = [];
        pool.TryGrow(pages, text.Length).ShouldBeTrue();
        for (var page = 0; page < text.Length / KeyValuePage.Tokens; page++) pool.TrySeal(pages, page, text.AsSpan(page * KeyValuePage.Tokens, KeyValuePage.Tokens)).ShouldBeTrue();
        return pages;
    }
}
