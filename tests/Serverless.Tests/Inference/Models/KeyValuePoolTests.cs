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
}
