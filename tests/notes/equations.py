r"""All equations, definitions and procedures of the notes, in order, and `@equation`, which marks a test with those
that it tests.

An id is the note and the number ("000 Eq. 3") or, without a number, the note and the place ("001 gradient vector").
The formula is the correct one. Where a note prints another, notebooks/errata.md has both.
"""

from typing import NamedTuple


class Equation(NamedTuple):
    """kind: "holds", "definition", "procedure", or "closed" for a gap in a note, filled here."""

    id: str
    latex: str
    kind: str = "holds"


EQUATIONS = [
    # --- 000: one node per layer ---
    Equation("000 goal", r"\min_{w,b} C", "procedure"),
    Equation("000 activation", r"a^{(L)}, a^{(L-1)}", "definition"),
    Equation("000 Eq. 1", r"a^{(L)}=\sigma(w^{(L)}a^{(L-1)}+b^{(L)})"),
    Equation("000 weight and bias", r"w^{(L)}, b^{(L)}", "definition"),
    Equation("000 Eq. 2", r"z^{(L)}=w^{(L)}a^{(L-1)}+b^{(L)}"),
    Equation("000 cost", r"C=(a^{(L)}-y)^2", "definition"),
    Equation("000 example cost", r"C_i=(a^{(L)}-y)^2 \text{ of example } i", "definition"),
    Equation("000 wanted derivative", r"\frac{\partial C_0}{\partial w^{(L)}}", "definition"),
    Equation(
        "000 Eq. 3",
        r"\frac{\partial C_0}{\partial w^{(L)}}=\frac{\partial z^{(L)}}{\partial w^{(L)}}"
        r"\frac{\partial a^{(L)}}{\partial z^{(L)}}\frac{\partial C_0}{\partial a^{(L)}}",
    ),
    Equation("000 Eq. 4", r"\frac{\partial C_0}{\partial a^{(L)}}=2(a^{(L)}-y)"),
    Equation("000 Eq. 5", r"\frac{\partial a^{(L)}}{\partial z^{(L)}}=\sigma'(z^{(L)})"),
    Equation("000 Eq. 6", r"\frac{\partial z^{(L)}}{\partial w^{(L)}}=a^{(L-1)}"),
    Equation(
        "000 Eq. 7",
        r"\frac{\partial C_0}{\partial b^{(L)}}=\frac{\partial z^{(L)}}{\partial b^{(L)}}"
        r"\frac{\partial a^{(L)}}{\partial z^{(L)}}\frac{\partial C_0}{\partial a^{(L)}}",
    ),
    Equation("000 dz/db", r"\frac{\partial z^{(L)}}{\partial b^{(L)}}=1"),
    Equation(
        "000 Eq. 8",
        r"\frac{\partial C_0}{\partial a^{(L-1)}}=\frac{\partial z^{(L)}}{\partial a^{(L-1)}}"
        r"\frac{\partial a^{(L)}}{\partial z^{(L)}}\frac{\partial C_0}{\partial a^{(L)}}",
    ),
    Equation("000 dz/da", r"\frac{\partial z^{(L)}}{\partial a^{(L-1)}}=w^{(L)}"),
    Equation("000 iteration", r"\frac{\partial C_0}{\partial a^{(l)}}, l=L-1,\dots,1", "procedure"),
    # --- 000: several nodes per layer ---
    Equation("000 multi-node indices", r"a_i^{(L)}", "definition"),
    Equation("000 multi-node cost", r"C_0=\sum_{j=0}^{n_L-1}(a_j^{(L)}-y_j)^2", "definition"),
    Equation("000 multi-node w", r"w_{jk}^{(L)}", "definition"),
    Equation("000 multi-node z", r"z_j^{(L)}=\left[\sum_{k=0}^{n_{L-1}-1}w_{jk}^{(L)}a_k^{(L-1)}\right]+b_j^{(L)}"),
    Equation(
        "000 multi-node z of three",
        r"z_j^{(L)}=w_{j0}^{(L)}a_0^{(L-1)}+w_{j1}^{(L)}a_1^{(L-1)}+w_{j2}^{(L)}a_2^{(L-1)}+b_j^{(L)}",
    ),
    Equation("000 multi-node a", r"a_j^{(L)}=\sigma(z_j^{(L)})"),
    Equation(
        "000 multi-node dC/dw",
        r"\frac{\partial C_0}{\partial w_{jk}^{(L)}}=\frac{\partial z_j^{(L)}}{\partial w_{jk}^{(L)}}"
        r"\frac{\partial a_j^{(L)}}{\partial z_j^{(L)}}\frac{\partial C_0}{\partial a_j^{(L)}}",
    ),
    Equation(
        "000 multi-node dC/da",
        r"\frac{\partial C_0}{\partial a_k^{(L-1)}}=\sum_{j=0}^{n_L-1}\frac{\partial z_j^{(L)}}{\partial a_k^{(L-1)}}"
        r"\frac{\partial a_j^{(L)}}{\partial z_j^{(L)}}\frac{\partial C_0}{\partial a_j^{(L)}}",
    ),
    # --- 001: derivatives ---
    Equation("001 limit", r"L=\lim_{h\to 0}\frac{f(a+h)-f(a)}{h}", "definition"),
    Equation("001 chain rule F", r"F(x)=f(g(x)), F'(x)=f'(g(x))\cdot g'(x)"),
    Equation("001 partial derivative", r"\frac{\partial f(x)}{\partial x}", "definition"),
    Equation("001 chain rule y", r"y=f(g(t)), x=g(t), \frac{dy}{dt}=\frac{dy}{dx}\frac{dx}{dt}"),
    # --- 001: one node per layer ---
    Equation(
        "001 dC/dw",
        r"\frac{\partial C_0}{\partial w^{(L)}}=\frac{\partial z^{(L)}}{\partial w^{(L)}}"
        r"\frac{\partial a^{(L)}}{\partial z^{(L)}}\frac{\partial C_0}{\partial a^{(L)}}"
        r"=a^{(L-1)}\cdot\sigma'(z^{(L)})\cdot 2(a^{(L)}-y)",
    ),
    Equation(
        "001 dC/db",
        r"\frac{\partial C_0}{\partial b^{(L)}}=\frac{\partial z^{(L)}}{\partial b^{(L)}}"
        r"\frac{\partial a^{(L)}}{\partial z^{(L)}}\frac{\partial C_0}{\partial a^{(L)}}"
        r"=1\cdot\sigma'(z^{(L)})\cdot 2(a^{(L)}-y)",
    ),
    Equation(
        "001 dC/da",
        r"\frac{\partial C_0}{\partial a^{(L-1)}}=\frac{\partial z^{(L)}}{\partial a^{(L-1)}}"
        r"\frac{\partial a^{(L)}}{\partial z^{(L)}}\frac{\partial C_0}{\partial a^{(L)}}"
        r"=w^{(L)}\cdot\sigma'(z^{(L)})\cdot 2(a^{(L)}-y)",
    ),
    Equation("001 cost", r"C_0(\dots)=(a^{(L)}-y)^2", "definition"),
    Equation("001 cost arguments", r"C_0(w^{(1)},b^{(1)},\dots,w^{(L)},b^{(L)})", "definition"),
    Equation("001 activation", r"a^{(L)}=\sigma(z^{(L)})=\sigma(w^{(L)}\cdot a^{(L-1)}+b^{(L)})", "definition"),
    Equation(
        "001 average",
        r"\frac{\partial C}{\partial w^{(L)}}=\frac1n\sum_{k=0}^{n-1}"
        r"\frac{\partial C_k}{\partial w^{(L)}}",
    ),
    Equation(
        "001 previous layer",
        r"\frac{\partial C_0}{\partial w^{(L-1)}}=\frac{\partial z^{(L-1)}}{\partial w^{(L-1)}}"
        r"\frac{\partial a^{(L-1)}}{\partial z^{(L-1)}}\frac{\partial z^{(L)}}{\partial a^{(L-1)}}"
        r"\frac{\partial a^{(L)}}{\partial z^{(L)}}\frac{\partial C_0}{\partial a^{(L)}}",
    ),
    Equation("001 all layers", r"\frac{\partial C_0}{\partial w^{(l)}}, l=L,\dots,1", "procedure"),
    Equation(
        "001 gradient vector",
        r"\nabla C=\left(\frac{\partial C}{\partial w^{(1)}}, \frac{\partial C}{\partial b^{(1)}}, \dots, "
        r"\frac{\partial C}{\partial w^{(L)}}, \frac{\partial C}{\partial b^{(L)}}\right)^T",
        "definition",
    ),
    Equation("001 gradient descent", r"(w,b)\leftarrow(w,b)-\alpha\nabla C", "procedure"),
    # --- 001: several nodes per layer ---
    Equation("001 multi-node w", r"a_k^{(L-1)} - w_{jk}^{(L)}\longrightarrow a_j^{(L)}", "definition"),
    Equation(
        "001 multi-node dC/dw",
        r"\frac{\partial C_0}{\partial w_{jk}^{(L)}}=\frac{\partial z_j^{(L)}}{\partial w_{jk}^{(L)}}"
        r"\frac{\partial a_j^{(L)}}{\partial z_j^{(L)}}\frac{\partial C_0}{\partial a_j^{(L)}}",
    ),
    Equation(
        "001 multi-node dC/da",
        r"\frac{\partial C_0}{\partial a_k^{(L-1)}}=\sum_{j=0}^{n_L-1}\frac{\partial z_j^{(L)}}{\partial a_k^{(L-1)}}"
        r"\frac{\partial a_j^{(L)}}{\partial z_j^{(L)}}\frac{\partial C_0}{\partial a_j^{(L)}}",
    ),
    Equation("001 multi-node cost", r"C_0=\sum_{j=0}^{n_L-1}(a_j^{(L)}-y_j)^2", "definition"),
    Equation("001 multi-node users", r"n_L \text{ nodes of layer } L \text{ use } a_k^{(L-1)}", "definition"),
    Equation(
        "001 multi-node a",
        r"a_j^{(L)}=\sigma(z_j^{(L)}), "
        r"z_j^{(L)}=w_{j0}^{(L)}a_0^{(L-1)}+\cdots+w_{jk}^{(L)}a_k^{(L-1)}+\cdots+b_j^{(L)}",
    ),
    # --- 002 ---
    Equation("002 sensitivity", r"\frac{\partial C_0}{\partial w}, \frac{\partial C_0}{\partial b}", "definition"),
    Equation("002 cost", r"C_0=(a^{(L)}-y)^2", "definition"),
    Equation("002 activation", r"a^{(L)}=\sigma(z^{(L)})", "definition"),
    Equation("002 pre-activation", r"z^{(L)}=w^{(L)}\cdot a^{(L-1)}+b^{(L)}", "definition"),
    Equation("002 wanted derivatives", r"\frac{\partial C_0}{\partial w}"),
    Equation("002 bias", r"\frac{\partial z^{(L)}}{\partial b^{(L)}}=1"),
    Equation(
        "002 dC/dw",
        r"\frac{\partial C_0}{\partial w^{(L)}}=\frac{\partial z^{(L)}}{\partial w^{(L)}}\cdot"
        r"\frac{\partial a^{(L)}}{\partial z^{(L)}}\cdot\frac{\partial C_0}{\partial a^{(L)}}",
    ),
    Equation(
        "002 three factors",
        r"\frac{\partial C_0}{\partial a^{(L)}}=2(a^{(L)}-y), \frac{\partial a^{(L)}}{\partial z^{(L)}}"
        r"=\sigma'(z^{(L)}), \frac{\partial z^{(L)}}{\partial w^{(L)}}=a^{(L-1)}",
        "closed",
    ),
    Equation("002 average", r"\frac{\partial C}{\partial w}=\frac1n\sum_{k=0}^{n-1}\frac{\partial C_k}{\partial w}"),
    Equation("002 training iteration", r"a\to C\to\nabla C\to w", "procedure"),
    Equation(
        "002 several outputs",
        r"C_0=\sum_j(a_j^{(L)}-y_j)^2, \frac{\partial C_0}{\partial w_{jk}^{(l)}}=a_k^{(l-1)}\sigma'(z_j^{(l)})"
        r"\frac{\partial C_0}{\partial a_j^{(l)}}, \frac{\partial C_0}{\partial a_k^{(l-1)}}"
        r"=\sum_j w_{jk}^{(l)}\sigma'(z_j^{(l)})\frac{\partial C_0}{\partial a_j^{(l)}}",
        "closed",
    ),
    Equation("002 momentum", r"v\leftarrow\mu v+g, \theta\leftarrow\theta-\alpha v", "closed"),
    Equation("002 Nesterov momentum", r"v\leftarrow\mu v+g, \theta\leftarrow\theta-\alpha(g+\mu v)", "closed"),
    Equation(
        "002 RMSProp",
        r"s\leftarrow\rho s+(1-\rho)g^2, \theta\leftarrow\theta-\frac{\alpha g}{\sqrt s+\epsilon}",
        "closed",
    ),
    Equation(
        "002 AdamW", r"\theta\leftarrow(1-\alpha\lambda)\theta-\frac{\alpha\hat m}{\sqrt{\hat s}+\epsilon}", "closed"
    ),
    # --- 003: recaps ---
    Equation("003 Eq. 1a", r"Z^{[l]}=w^{[l]}A^{[l-1]}+b^{[l]}"),
    Equation("003 Eq. 1b", r"A^{[l]}=g^{[l]}(Z^{[l]})"),
    Equation("003 Eq. 2a", r"C(w,b)=\frac{1}{m}\sum_{i=1}^{m}\lVert y^{(i)}-\hat{y}^{(i)}\rVert^2"),
    Equation("003 Eq. 2b", r"C(w,b)=\frac{1}{m}\sum_{i=1}^{m}\lvert y^{(i)}-\hat{y}^{(i)}\rvert"),
    Equation(
        "003 Eq. 2c",
        r"C(w,b)=-\frac{1}{m}\sum_{i=1}^{m}[y^{(i)}\log(\hat{y}^{(i)})+(1-y^{(i)})\log(1-\hat{y}^{(i)})]",
    ),
    Equation("003 loss and cost", r"C=\frac1m\sum_{i=1}^{m}\ell^{(i)}=\frac1m\mathcal{L}", "definition"),
    Equation("003 Eq. 3a", r"w^{[l]}\leftarrow w^{[l]}-\alpha\frac{\partial C}{\partial w^{[l]}}", "procedure"),
    Equation("003 Eq. 3b", r"b^{[l]}\leftarrow b^{[l]}-\alpha\frac{\partial C}{\partial b^{[l]}}", "procedure"),
    # --- 003: the output layer ---
    Equation(
        "003 Eq. 4a",
        r"\delta^{[L]}=\frac{\partial C}{\partial Z^{[L]}}=\frac{\partial C}{\partial A^{[L]}}\odot"
        r"\frac{\partial A^{[L]}}{\partial Z^{[L]}}",
    ),
    Equation(
        "003 Eq. 4b",
        r"\frac{\partial C}{\partial w^{[L]}}=\delta^{[L]}\cdot\frac{\partial Z^{[L]}}{\partial w^{[L]}}",
    ),
    Equation(
        "003 Eq. 4c",
        r"\frac{\partial C}{\partial b^{[L]}}=\delta^{[L]}\cdot\frac{\partial Z^{[L]}}{\partial b^{[L]}}",
    ),
    Equation(
        "003 Eq. 4d",
        r"\frac{\partial C}{\partial A^{[L-1]}}="
        r"\left(\frac{\partial Z^{[L]}}{\partial A^{[L-1]}}\right)^T\delta^{[L]}",
    ),
    Equation(
        "003 Eq. 5a",
        r"\hat{Y}=A^{[L]}=g^{[L]}(w^{[L]}g^{[L-1]}(w^{[L-1]}g^{[L-2]}(\cdots g^{[1]}(w^{[1]}A^{[0]})))), "
        r"C=\frac1m\sum_{i=1}^{m}\ell(\hat{y}^{(i)},y^{(i)})",
    ),
    Equation(
        "003 Eq. 5b",
        r"\nabla_{A^{[0]}}C=W^{[1]T}(g'^{[1]}\odot(\cdots W^{[L-1]T}(g'^{[L-1]}\odot(W^{[L]T}"
        r"(g'^{[L]}\odot\nabla_{A^{[L]}}C)))))",
    ),
    Equation("003 Eq. 6", r"\frac{\partial Z^{[L]}}{\partial w^{[L]}}=A^{[L-1]T}"),
    Equation("003 Eq. 7", r"\frac{\partial Z^{[L]}}{\partial b^{[L]}}=(1, 1, \dots, 1)^T \in\mathbb{R}^{m\times 1}"),
    Equation("003 Eq. 8", r"\frac{\partial Z^{[L]}}{\partial A^{[L-1]}}=W^{[L]}"),
    Equation("003 Eq. 9", r"g'^{[L]}=\frac{\partial A^{[L]}}{\partial Z^{[L]}}", "definition"),
    Equation("003 Eq. 10a", r"\delta^{[L]}=\frac{\partial\mathcal{L}}{\partial A^{[L]}}\odot g'^{[L]}"),
    Equation("003 Eq. 10b", r"\frac{\partial C}{\partial w^{[L]}}=\frac1m\delta^{[L]}\cdot A^{[L-1]T}"),
    Equation(
        "003 Eq. 10c",
        r"\frac{\partial C}{\partial b^{[L]}}=\frac1m\text{np.sum}(\delta^{[L]},\text{axis=1, keepdims=True})",
    ),
    Equation("003 Eq. 10d", r"\frac{\partial\mathcal{L}}{\partial A^{[L-1]}}=W^{[L]T}\delta^{[L]}"),
    # --- 003: any layer ---
    Equation("003 range of l", r"1\le l\le L", "definition"),
    Equation("003 Eq. 11a", r"\delta^{[l]}=\frac{\partial\mathcal{L}}{\partial A^{[l]}}\odot g'^{[l]}"),
    Equation("003 Eq. 11b", r"\frac{\partial C}{\partial w^{[l]}}=\frac1m\delta^{[l]}\cdot A^{[l-1]T}"),
    Equation(
        "003 Eq. 11c",
        r"\frac{\partial C}{\partial b^{[l]}}=\frac1m\text{np.sum}(\delta^{[l]},\text{axis=1, keepdims=True})",
    ),
    Equation("003 Eq. 11d", r"\frac{\partial\mathcal{L}}{\partial A^{[l-1]}}=W^{[l]T}\cdot\delta^{[l]}"),
    Equation(
        "003 compact notation",
        r"dA^{[l]}=\frac{\partial\mathcal{L}}{\partial A^{[l]}}, dw^{[l]}=\frac{\partial C}{\partial w^{[l]}}, "
        r"db^{[l]}=\frac{\partial C}{\partial b^{[l]}}",
        "definition",
    ),
    Equation("003 Eq. 12a", r"\delta^{[l]}=dA^{[l]}\odot g'^{[l]}"),
    Equation("003 Eq. 12b", r"dw^{[l]}=\frac1m\delta^{[l]}\cdot A^{[l-1]T}"),
    Equation("003 Eq. 12c", r"db^{[l]}=\frac1m\text{np.sum}(\delta^{[l]},\text{axis=1, keepdims=True})"),
    Equation("003 Eq. 12d", r"dA^{[l-1]}=W^{[l]T}\cdot\delta^{[l]}"),
    Equation("003 cache", r"Z^{[l]}, A^{[l-1]}", "procedure"),
    Equation("003 backward pass", r"dA^{[L]}\to dA^{[L-1]}\to\cdots\to dA^{[0]}", "procedure"),
    # --- 003: what it leaves open ---
    Equation("003 derivative of linear", r"g:\mathbb{R}\to\mathbb{R}, g(z)=z, g'(z)=1", "closed"),
    Equation(
        "003 derivative of sigmoid", r"g:\mathbb{R}\to(0,1), g(z)=\frac{1}{1+e^{-z}}, g'(z)=g(z)(1-g(z))", "closed"
    ),
    Equation("003 derivative of tanh", r"g:\mathbb{R}\to(-1,1), g(z)=\tanh z, g'(z)=1-g(z)^2", "closed"),
    Equation("003 derivative of relu", r"g:\mathbb{R}\to[0,\infty), g(z)=\max(z,0), g'(z)=[z>0]", "closed"),
    Equation(
        "003 derivative of leaky_relu",
        r"g:\mathbb{R}\to\mathbb{R}, g(z)=\max(z,0)+0.01\min(z,0), g'(z)=[z\ge 0]+0.01[z<0]",
        "closed",
    ),
    Equation(
        "003 derivative of softplus", r"g:\mathbb{R}\to(0,\infty), g(z)=\log(1+e^z), g'(z)=\frac{1}{1+e^{-z}}", "closed"
    ),
    Equation(
        "003 stochastic gradient descent",
        r"\theta\leftarrow\theta-\frac{\alpha}{\lvert B\rvert}\sum_{i\in B}\nabla\ell^{(i)}",
        "closed",
    ),
    Equation(
        "003 Adam",
        r"m\leftarrow\beta_1 m+(1-\beta_1)g, s\leftarrow\beta_2 s+(1-\beta_2)g^2, "
        r"\theta\leftarrow\theta-\alpha\frac{m/(1-\beta_1^t)}{\sqrt{s/(1-\beta_2^t)}+\epsilon}",
        "closed",
    ),
    Equation(
        "003 training sequence",
        r"\text{Eq. 1} (l=1,\dots,L)\to\text{Eq. 2}\to\text{Eq. 12} (l=L,\dots,1)\to\text{Eq. 3}, \text{repeated}",
        "closed",
    ),
]

BY_ID = {equation.id: equation for equation in EQUATIONS}


def equation(*ids):
    """Mark a test with the ids of the equations that it tests."""
    for id in ids:
        if id not in BY_ID:
            raise ValueError(f"no equation has the id {id!r}; equations.py lists them")

    def mark(test):
        test.equations = (*ids, *getattr(test, "equations", ()))
        return test

    return mark
