using Spectre.Console;
using Spectre.Console.Rendering;

namespace Serverless.Cli.Shell;

/// <summary>For NO_COLOR: no colour, no bold, no links; what moves the cursor stays.</summary>
internal sealed class PlainStyle : IRenderHook
{
    public IEnumerable<IRenderable> Process(RenderOptions options, IEnumerable<IRenderable> renderables) => renderables.Select(inner => new Plain(inner));

    private sealed class Plain(IRenderable inner) : IRenderable
    {
        public Measurement Measure(RenderOptions options, int maxWidth) => inner.Measure(options, maxWidth);

        public IEnumerable<Segment> Render(RenderOptions options, int maxWidth) =>
            inner.Render(options, maxWidth).Select(segment => segment.IsControlCode || segment.IsLineBreak ? segment : new Segment(segment.Text));
    }
}
