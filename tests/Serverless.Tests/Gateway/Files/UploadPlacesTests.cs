using Serverless.Gateway.Files;
using Shouldly;

namespace Serverless.Tests.Gateway.Files;

public sealed class UploadPlacesTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(16, 8)]
    public void An_organization_takes_half_of_them_at_most(int most, int expected)
    {
        var places = new UploadPlaces(most);

        Enumerable.Range(0, most).Count(_ => places.TryTake("slow")).ShouldBe(expected);

        places.TryTake("other").ShouldBe(most > 1);
    }

    [Fact]
    public void A_place_that_was_given_back_is_taken_again()
    {
        var places = new UploadPlaces(2);
        places.TryTake("a").ShouldBeTrue();
        places.TryTake("a").ShouldBeFalse();
        places.Return("a");

        places.TryTake("a").ShouldBeTrue();
        places.TryTake("b").ShouldBeTrue();
        places.TryTake("c").ShouldBeFalse();
    }
}
